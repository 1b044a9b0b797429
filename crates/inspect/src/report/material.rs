//! Everything that a report is made from.

use super::decision::Decision;
use crate::observe::process::Status;
use crate::observe::{Observation, Unread};
use casemate_policy::{ControlId, Mode, Overrides, Profile, ProfileName};
use serde::Serialize;

/// What a report is about.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `bundle`, `container` or `process`.
    pub kind: &'static str,
    /// Container id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Bundle directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// The configuration's file, for what points into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// First process, in the caller's numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Status of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Which runtime made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'static str>,
}

/// Everything that a report is made from.
#[derive(Debug)]
pub struct Material<'a> {
    /// What it is about.
    pub subject: Subject,
    /// Whose values count.
    pub profile: &'static Profile,
    /// The profile in force; none for containers of others.
    pub in_force: Option<ProfileName>,
    /// What differs from the profile.
    pub overrides: Overrides,
    /// What the configuration asked for.
    pub asked: Option<&'a Observation>,
    /// What is in force.
    pub effective: &'a Observation,
    /// What the record promises, for a container that runs.
    pub recorded: Option<&'a Observation>,
    /// What was decided.
    pub decisions: Vec<Decision>,
    /// The container's other processes.
    pub peers: Vec<Peer>,
    /// What the record knows of the floor.
    pub floor: RecordedFloor,
    /// What could not be read, beside what is in force.
    pub unread: Vec<Unread>,
}

/// Another process of the container.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its pid, in the caller's numbers.
    pub pid: i32,
    /// What its status says.
    pub status: Status,
}

/// What the record knows of the floor.
#[derive(Clone, Debug, Default)]
pub struct RecordedFloor {
    /// The release that compared.
    pub compared_by: Option<String>,
    /// The record cannot be read, which is reported as such.
    pub unreadable: bool,
}

impl Material<'_> {
    /// The mode of a control: off in a container of somebody else.
    pub(super) fn mode(&self, rule: ControlId) -> Mode {
        self.in_force.map_or(Mode::Off, |profile| self.overrides.mode(profile, rule))
    }
}
