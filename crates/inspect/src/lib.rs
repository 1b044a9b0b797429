//! Looking at containers, hosts and engines, and judging what is seen. Nothing here changes anything, and
//! nothing here is on the way of `create`, `start` or `exec`.
//!
//! [`host`] asks what this kernel and host can enforce, [`engine`] whether a container engine is set up to
//! use casemate. [`observe`] sees a container, as configured or as it runs; [`judge`] says whether a control's aim holds in
//! it; [`report`] puts that beside what was decided and by whom, and [`standards`] beside what others ask for. [`subject`]
//! finds the container. [`census`] knows which there are on the host, and [`locate`] finds one of them by what its engine calls
//! it; [`gone`] knows those that were, [`why`] brings together why one is not, [`overview`] looks at all of them, and [`score`] makes one number of a report. Printing and exit statuses are the command line's.

#![warn(clippy::missing_errors_doc)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod asked;
pub mod census;
pub mod denials;
pub mod engine;
mod engine_says;
pub mod foreign;
pub mod gone;
pub mod host;
pub mod judge;
mod kept;
pub mod locate;
mod names;
pub mod observe;
pub mod overview;
pub mod report;
pub mod roots;
pub mod score;
pub mod severity;
pub mod simulate;
pub mod standards;
pub mod subject;
pub mod why;
