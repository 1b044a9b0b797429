//! How often a race is run. Some rounds in every run of the tests, so that a hole that is wide open is seen at once; with
//! `CASEMATE_RACES=full` as many as the ledger of attacks (docs/operate/CVE-LEDGER.md) states.

/// The number of rounds of one race.
///
/// # Panics
/// If `CASEMATE_RACES` says something else than `full`.
pub fn rounds(usual: u32, full: u32) -> u32 {
    match std::env::var("CASEMATE_RACES").as_deref() {
        Ok("full") => full,
        Ok("") | Err(_) => usual,
        Ok(other) => panic!("CASEMATE_RACES={other}: full, or nothing"),
    }
}
