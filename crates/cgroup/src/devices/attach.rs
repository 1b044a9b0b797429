//! Loading device programs and swapping them on a cgroup.
//!
//! A fresh cgroup gets its program attached beside those of its ancestors; an update replaces the one in force without
//! a moment between. Programs of other owners on the same cgroup (systemd's) are left alone, because one more
//! program can only forbid more. Each attachment is read back.

use super::{DeviceProgram, DeviceRule};
use crate::error::{Error, Result};
use crate::handle::Cgroup;
use casemate_sys::bpf;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// A device program in the kernel, not yet in force anywhere.
#[derive(Debug)]
pub struct LoadedDevices(OwnedFd);

impl Cgroup {
    /// The first half of [`Cgroup::set_devices`], for callers that have the time now and not later: the kernel verifies and
    /// translates the program.
    ///
    /// # Errors
    /// [`Error::Devices`]: the kernel does not take the program; EPERM as for
    /// [`Cgroup::set_devices`].
    pub fn load_devices(&self, rules: &[DeviceRule]) -> Result<LoadedDevices> {
        self.load(rules).map(LoadedDevices)
    }

    /// The second half of [`Cgroup::set_devices`]; in a cgroup that existed, it replaces the program of an earlier container.
    ///
    /// # Errors
    /// [`Error::Devices`]: the program cannot be attached (EPERM without CAP_NET_ADMIN, or
    /// CAP_SYS_ADMIN), or is not listed afterwards.
    pub fn attach_devices(&self, program: &LoadedDevices) -> Result<()> {
        if self.existed() {
            return self.replace_with(&program.0);
        }
        self.attach(&program.0)
    }

    /// Put `rules` in force on this cgroup, which is new or has no device program of its own yet: load and
    /// attach, nothing else.
    ///
    /// # Errors
    /// [`Error::Devices`]; EPERM without CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN) in the
    /// initial user namespace, see [`Error::is_permission`].
    pub fn set_devices(&self, rules: &[DeviceRule]) -> Result<()> {
        self.attach(&self.load(rules)?)
    }

    /// Put `rules` in force in place of the program that [`Cgroup::set_devices`] attached before.
    ///
    /// # Errors
    /// [`Error::Devices`], as for [`Cgroup::set_devices`]; or the programs that are attached cannot
    /// be looked at.
    pub fn replace_devices(&self, rules: &[DeviceRule]) -> Result<()> {
        self.replace_with(&self.load(rules)?)
    }

    fn replace_with(&self, program: &OwnedFd) -> Result<()> {
        match self.own_program()? {
            Some(old) => bpf::replace_device_program(self, program, old),
            None => bpf::attach_device_program(self, program),
        }
        .and_then(|()| self.compare(program))
        .map_err(|error| self.devices_error(error))
    }

    fn attach(&self, program: &OwnedFd) -> Result<()> {
        bpf::attach_device_program(self, program)
            .and_then(|()| self.compare(program))
            .map_err(|error| self.devices_error(error))
    }

    /// What the kernel lists for this cgroup is what it said it had attached, by its number.
    fn compare(&self, program: &OwnedFd) -> casemate_sys::Result<()> {
        let id = bpf::program_id(program)?;
        match bpf::query_device_programs(self)?.contains(&id) {
            true => Ok(()),
            false => Err(casemate_sys::Error::new(
                format!(
                    "bpf(BPF_PROG_QUERY): program {id} is not attached, as the kernel said it was"
                ),
                Errno::NOENT,
            )),
        }
    }

    /// How many device programs are attached to this very cgroup.
    ///
    /// # Errors
    /// [`Error::Devices`]: the kernel does not list them, e.g. EPERM without CAP_NET_ADMIN (or
    /// CAP_SYS_ADMIN).
    pub fn device_program_count(&self) -> Result<usize> {
        Ok(bpf::query_device_programs(self).map_err(|error| self.devices_error(error))?.len())
    }

    fn load(&self, rules: &[DeviceRule]) -> Result<OwnedFd> {
        let program = DeviceProgram::compile(rules);
        bpf::load_device_program(program.instructions()).map_err(|error| self.devices_error(error))
    }

    /// The program that carries our name, the newest if several do.
    fn own_program(&self) -> Result<Option<OwnedFd>> {
        let ids = bpf::query_device_programs(self).map_err(|error| self.devices_error(error))?;
        for id in ids.into_iter().rev() {
            match bpf::program_by_id(id) {
                Ok(fd) if bpf::is_own_program(&fd).map_err(|e| self.devices_error(e))? => {
                    return Ok(Some(fd));
                }
                // Gone between the two calls: its owner has replaced it.
                Err(error) if error.errno() == Errno::NOENT => {}
                Err(error) => return Err(self.devices_error(error)),
                Ok(_) => {}
            }
        }
        Ok(None)
    }

    fn devices_error(&self, source: casemate_sys::Error) -> Error {
        Error::Devices { path: self.path().to_owned(), source }
    }
}
