//! Whose a container is, for people.

/// The host's name for a uid, read from /etc/passwd alone: no NSS in a static binary.
pub(super) fn user_name(uid: u32) -> String {
    // A column for people: without a name the number stands there.
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}
