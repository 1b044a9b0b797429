//! Requests of create, run, exec, kill, delete and explain.

use super::{container_id, path};
use crate::cli::exec::ExecArgs;
use crate::cli::lifecycle::{CreateArgs, DeleteArgs, KillArgs, RunArgs};
use crate::cli::observe::ExplainArgs;
use crate::values::ids::{parse_id, parse_user};
use crate::values::signal::{meant_by, parse_signal};
use anyhow::{bail, Context};
use casemate_runtime::request::{
    CreateRequest, DeleteRequest, ExecRequest, ExplainRequest, KillRequest, RunRequest,
};
use casemate_runtime::ContainerId;

/// SIGTERM.
const DEFAULT_SIGNAL: i32 = 15;

/// Builds the request of `create`.
pub(crate) fn create(args: &CreateArgs) -> anyhow::Result<CreateRequest> {
    Ok(CreateRequest {
        id: container_id(&args.id)?,
        bundle: path::directory(args.bundle.as_deref())?,
        config: path::optional(args.config.as_deref())?,
        console_socket: path::optional(args.console_socket.as_deref())?,
        pidfd_socket: path::optional(args.pidfd_socket.as_deref())?,
        pid_file: path::optional(args.pid_file.as_deref())?,
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
        preserve_fds: args.preserve_fds,
    })
}

/// Builds the request of `run`.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<RunRequest> {
    Ok(RunRequest {
        create: create(&args.create)?,
        detach: args.detach,
        keep: args.keep,
        no_subreaper: args.no_subreaper,
    })
}

/// Builds the request of `exec`.
pub(crate) fn exec(args: ExecArgs) -> anyhow::Result<ExecRequest> {
    let process = path::optional(args.process.as_deref())?;
    if process.is_none() && args.command.is_empty() {
        bail!("process args cannot be empty\nhint: name a command after the container id, or use --process");
    }
    Ok(ExecRequest {
        id: container_id(&args.id)?,
        process,
        args: args.command,
        cwd: args.cwd.filter(|cwd| !cwd.is_empty()),
        env: args.env,
        tty: args.tty,
        user: args.user.as_deref().filter(|user| !user.is_empty()).map(user).transpose()?,
        additional_gids: args
            .additional_gids
            .iter()
            .map(|gid| group(gid))
            .collect::<Result<_, _>>()?,
        detach: args.detach,
        pid_file: path::optional(args.pid_file.as_deref())?,
        console_socket: path::optional(args.console_socket.as_deref())?,
        pidfd_socket: path::optional(args.pidfd_socket.as_deref())?,
        process_label: args.process_label.filter(|label| !label.is_empty()),
        apparmor: args.apparmor.filter(|profile| !profile.is_empty()),
        no_new_privs: args.no_new_privs,
        caps: args.cap,
        preserve_fds: args.preserve_fds,
        cgroup: args.cgroup,
        ignore_paused: args.ignore_paused,
    })
}

fn user(text: &str) -> anyhow::Result<(u32, Option<u32>)> {
    parse_user(text).with_context(|| {
        format!("invalid user {text:?}: must be UID or UID:GID\nhint: names are not looked up")
    })
}

fn group(text: &str) -> anyhow::Result<u32> {
    parse_id(text).with_context(|| format!("invalid additional gid {text:?}: must be a number"))
}

fn unknown_signal(text: &str) -> String {
    match meant_by(text) {
        Some(meant) => format!("unknown signal {text:?}\nhint: did you mean {meant}?"),
        None => format!("unknown signal {text:?}"),
    }
}

fn signal(args: &KillArgs) -> anyhow::Result<i32> {
    match args.signal.as_deref() {
        None | Some("") => Ok(DEFAULT_SIGNAL),
        Some(text) => parse_signal(text).with_context(|| unknown_signal(text)),
    }
}

/// Builds the request of `kill`.
pub(crate) fn kill(args: &KillArgs, id: ContainerId) -> anyhow::Result<KillRequest> {
    Ok(KillRequest { id, signal: signal(args)?, all: args.all })
}

/// Builds the request of `delete`.
pub(crate) fn delete(args: &DeleteArgs) -> anyhow::Result<DeleteRequest> {
    Ok(DeleteRequest { id: container_id(&args.id)?, force: args.force })
}

/// Builds the request of `explain`.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<ExplainRequest> {
    let bundle = path::directory(args.bundle.as_deref())?;
    let id = match &args.id {
        Some(id) => container_id(id)?,
        // A bundle's directory is usually named after its container; any valid id will do.
        None => match casemate_runtime::bundle::container_of(&bundle).map(|id| container_id(&id)) {
            Some(Ok(id)) => id,
            _ => container_id("explained")?,
        },
    };
    let of_container = args.id.is_some() && args.bundle.is_none() && args.config.is_none();
    let config = path::optional(args.config.as_deref())?;
    Ok(ExplainRequest { bundle, config, id, of_container })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn relative_files_of_create_are_taken_from_the_callers_directory_not_the_bundle() {
        let args = CreateArgs {
            id: "x".into(),
            bundle: Some("/b".into()),
            pid_file: Some("p".into()),
            console_socket: Some(String::new().into()),
            ..CreateArgs::default()
        };
        let request = create(&args).unwrap();
        assert_eq!(request.bundle, Path::new("/b"));
        assert_eq!(request.pid_file.unwrap(), std::env::current_dir().unwrap().join("p"));
        assert_eq!(request.console_socket, None);
    }

    #[test]
    fn exec_without_command_needs_a_process_file() {
        let args = ExecArgs { id: "x".into(), ..ExecArgs::default() };
        let error = exec(args.clone()).unwrap_err().to_string();
        assert!(error.starts_with("process args cannot be empty"), "{error}");
        let request = exec(ExecArgs { process: Some("/p.json".into()), ..args }).unwrap();
        assert_eq!(request.process.as_deref(), Some(Path::new("/p.json")));
    }

    #[test]
    fn exec_user_is_read_strictly() {
        let with = |user: &str| {
            exec(ExecArgs {
                id: "x".into(),
                command: vec!["id".into()],
                user: Some(user.into()),
                ..ExecArgs::default()
            })
        };
        assert_eq!(with("1:2").unwrap().user, Some((1, Some(2))));
        assert_eq!(with("").unwrap().user, None);
        for user in ["-1", "4294967295", "0x1", "1:", "+1", "root"] {
            assert!(with(user).is_err(), "{user}");
        }
    }

    #[test]
    fn kill_defaults_to_sigterm_and_names_an_unknown_signal() {
        let args = KillArgs { id: "x".into(), ..KillArgs::default() };
        assert_eq!(signal(&args).unwrap(), 15);
        let error = signal(&KillArgs { signal: Some("FOO".into()), ..args }).unwrap_err();
        assert_eq!(error.to_string(), "unknown signal \"FOO\"");
    }
}
