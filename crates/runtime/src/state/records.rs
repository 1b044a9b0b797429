//! What is written down about a container: its record, who init is, and what was read back.

use super::dir::{StateDir, INIT, POSTURE, RECORD};
use super::record::{Held, InitRecord, LastResort, Record, FORMAT};
use crate::hinted::hinted;
use crate::launch::verify::Posture;
use anyhow::{anyhow, bail, Context as _, Result};
use serde::Deserialize;

/// What every format of the record begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
}

fn other_format(format: &str) -> anyhow::Error {
    let number =
        |format: &str| format.strip_prefix("casemate/").and_then(|n| n.parse::<u32>().ok());
    let newer = number(format) > number(FORMAT);
    let hint = "a newer release made the container: use that one; kill and delete --force work with this one, too";
    let message = format!("has format {format:?}, and this release reads {FORMAT:?}");
    if newer {
        hinted(message, hint)
    } else {
        anyhow!(message)
    }
}

/// Not inline, and in a box: the record is large, and each place that it comes by would have room for it on the stack.
#[inline(never)]
fn parse(bytes: &[u8]) -> serde_json::Result<Box<Record>> {
    serde_json::from_slice(bytes)
}

impl StateDir {
    /// Store the record, and have `change` done that it tells of: both, or neither. There is room for it before the change
    /// begins.
    ///
    /// # Errors
    /// That of `change`, which takes itself back; or of the last step, after `back` was called.
    pub(crate) fn save_with(
        &self,
        record: &Record,
        change: impl FnOnce() -> Result<()>,
        back: impl FnOnce(),
    ) -> Result<()> {
        let bytes = serde_json::to_vec(record).with_context(|| format!("state of {}", self.id))?;
        self.prepare(RECORD, &bytes)?;
        change().inspect_err(|_| self.forget(RECORD))?;
        self.put_in_place(RECORD).inspect_err(|_| back())
    }

    /// Store the record of a container that is being made. In place, under the lock: replacing a file costs a flush on ext4,
    /// and every create would pay it.
    ///
    /// # Errors
    /// As [`StateDir::write_new`].
    pub fn save_first(&self, record: &Record) -> Result<()> {
        self.write_new(
            RECORD,
            &[&serde_json::to_vec(record).with_context(|| format!("state of {}", self.id))?],
        )
    }

    /// Store who init is, and what of the record is needed to end the container.
    ///
    /// # Errors
    /// As [`StateDir::write_new`].
    pub fn save_init(&self, init: &InitRecord, record: &Record) -> Result<()> {
        let file = LastResort { init: *init, held: Some(Held::of(record)) };
        self.write_new(INIT, &[&serde_json::to_vec(&file)?])
    }

    /// Store what was read back: the container is complete.
    ///
    /// # Errors
    /// As [`StateDir::write_new`].
    pub fn save_posture(&self, posture: &Posture) -> Result<()> {
        self.write_new(POSTURE, &[&serde_json::to_vec(posture)?])
    }

    /// Whether the container's process was verified.
    ///
    /// # Errors
    /// Whether the file is there cannot be told.
    pub fn is_complete(&self) -> Result<bool> {
        self.exists(POSTURE)
    }

    /// Store the record.
    ///
    /// # Errors
    /// As [`StateDir::write`]; the record before stays then.
    pub fn save(&self, record: &Record) -> Result<()> {
        let bytes = serde_json::to_vec(record).with_context(|| format!("state of {}", self.id))?;
        self.write(RECORD, &bytes)
    }

    /// Load the record; `None` when the directory has none (a create that was cut short, or another runtime's).
    ///
    /// # Errors
    /// As [`StateDir::load_without_init`]; or what tells who init is is missing for a container
    /// that was completed, or cannot be read.
    pub fn load(&self) -> Result<Option<Box<Record>>> {
        let Some(mut record) = self.load_without_init()? else { return Ok(None) };
        record.init = self.load_init()?;
        Ok(Some(record))
    }

    /// The same, whatever is known of init: to remove a container by force.
    ///
    /// # Errors
    /// The record cannot be read or understood, has the format of another release, or is missing
    /// beside files that come after it.
    pub fn load_without_init(&self) -> Result<Option<Box<Record>>> {
        let about = || format!("state of {}: {RECORD}", self.id);
        let Some(bytes) = self.read_if_there(RECORD)? else {
            // Written before everything else and removed after it.
            if self.exists(INIT)? || self.is_complete()? {
                return Err(anyhow!("is missing")).with_context(about);
            }
            return Ok(None);
        };
        match parse(&bytes) {
            // The first record is written in place: its creator is still at it, or was killed over it.
            Err(error) if error.is_eof() && !self.exists(INIT)? && !self.is_complete()? => Ok(None),
            Ok(record) if record.format == FORMAT => Ok(Some(record)),
            Ok(record) => Err(other_format(&record.format)).with_context(about),
            // Of another layout, it says so in the one place that all have.
            Err(error) => match serde_json::from_slice::<Head>(&bytes) {
                Ok(head) if head.format != FORMAT => Err(other_format(&head.format)),
                _ => Err(error.into()),
            }
            .with_context(about),
        }
    }

    fn load_init(&self) -> Result<Option<InitRecord>> {
        let Some(bytes) = self.read_if_there(INIT)? else {
            if self.is_complete()? {
                bail!("state of {}: {INIT}: is missing", self.id);
            }
            return Ok(None);
        };
        match serde_json::from_slice(&bytes) {
            // Cut short in the middle of it, the creator was killed, and init has ended with it. A container that was
            // completed has an init, and may be running.
            Err(error) if error.is_eof() && !self.is_complete()? => Ok(None),
            other => other.map(Some).with_context(|| format!("state of {}: {INIT}", self.id)),
        }
    }

    /// What is known of a container whose record cannot be read.
    ///
    /// # Errors
    /// init.json is not there, or cannot be read either.
    pub(crate) fn load_last_resort(&self) -> Result<LastResort> {
        let bytes = self.read(INIT)?;
        serde_json::from_slice(&bytes).with_context(|| format!("state of {}: {INIT}", self.id))
    }
}
