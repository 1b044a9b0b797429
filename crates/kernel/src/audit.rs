//! Records of the kernel's audit system about what was refused, as the kernel's log, auditd's file and the journal have them
//! (audit_log_format() of kernel/audit.c, auditd(8), ausearch(8)).

use std::borrow::Cow;

/// Which record it is, by its number in <linux/audit.h>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 1300, AUDIT_SYSCALL: the call that led to the other records of the event, where the audit system is switched on.
    Syscall,
    /// 1326, AUDIT_SECCOMP: a filter's answer.
    Seccomp,
    /// 1400, AUDIT_AVC: SELinux, or AppArmor, whose records have a field `apparmor`.
    Avc,
    /// 1423, AUDIT_LANDLOCK_ACCESS.
    LandlockAccess,
    /// 1424, AUDIT_LANDLOCK_DOMAIN: who made the domain that another record names.
    LandlockDomain,
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        // auditd's own names; a release of it that does not know one says UNKNOWN[number].
        let number = word.strip_prefix("UNKNOWN[").and_then(|rest| rest.strip_suffix(']'));
        match number.unwrap_or(word) {
            "1300" | "SYSCALL" => Some(Self::Syscall),
            "1326" | "SECCOMP" => Some(Self::Seccomp),
            "1400" | "AVC" => Some(Self::Avc),
            "1423" | "LANDLOCK_ACCESS" => Some(Self::LandlockAccess),
            "1424" | "LANDLOCK_DOMAIN" => Some(Self::LandlockDomain),
            _ => None,
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is about.
    pub kind: Kind,
    /// When, in milliseconds since the epoch.
    pub time: u64,
    /// Its number since the kernel started; records of one event have the same.
    pub serial: u64,
    body: &'a str,
}

impl<'a> Record<'a> {
    /// Reads a line: of the kernel's log (`audit: type=1326 audit(TIME:SERIAL): ...`), or as auditd writes it and the journal
    /// keeps it (`type=SECCOMP msg=audit(TIME:SERIAL): ...`). `None`: it is something else.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let line = line.strip_prefix("audit: ").unwrap_or(line);
        let (kind, rest) = line.strip_prefix("type=")?.split_once(' ')?;
        let rest = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
        let (stamp, body) = rest.split_once("):")?;
        let (time, serial) = stamp.split_once(':')?;
        let (seconds, millis) = time.split_once('.')?;
        let millis = millis.parse::<u64>().ok().filter(|millis| *millis < 1000)?;
        let time = seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(millis)?;
        // What auditd adds in other words of its own stands behind this separator.
        let body = body.split('\u{1d}').next().unwrap_or(body);
        Some(Self { kind: Kind::of(kind)?, time, serial: serial.parse().ok()?, body })
    }

    /// What it says, behind time and number.
    #[must_use]
    pub fn body(&self) -> &'a str {
        self.body.trim()
    }

    /// The value of a field as it stands there, without quotes.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.value(key).map(|(value, _)| value)
    }

    /// A number: decimal, hexadecimal behind `0x`.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        }
    }

    /// A text that a program has chosen: the kernel writes it in quotes, or in hexadecimal digits where that would be ambiguous
    /// (audit_log_untrustedstring()).
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let (value, quoted) = self.value(key)?;
        if quoted || value == "(null)" {
            return Some(Cow::Borrowed(value));
        }
        match hexadecimal(value) {
            Some(bytes) => Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
            None => Some(Cow::Borrowed(value)),
        }
    }

    /// What SELinux refused: the words between the braces of `avc:  denied  { read write } for ...`; `None`: it was not refused.
    #[must_use]
    pub fn denied(&self) -> Option<&'a str> {
        let (_, behind) = self.body.split_once("denied  {")?;
        behind.split_once('}').map(|(words, _)| words.trim())
    }

    fn value(&self, key: &str) -> Option<(&'a str, bool)> {
        let mut rest = self.body;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return None;
            }
            let word_end = rest.find([' ', '=']).unwrap_or(rest.len());
            let word = &rest[..word_end];
            let Some(behind) = rest[word_end..].strip_prefix('=') else {
                rest = &rest[word_end..];
                continue;
            };
            let (value, quoted, after) = match behind.strip_prefix('"') {
                Some(inside) => {
                    let end = inside.find('"').unwrap_or(inside.len());
                    (&inside[..end], true, inside.get(end + 1..).unwrap_or_default())
                }
                None => {
                    let end = behind.find(' ').unwrap_or(behind.len());
                    (&behind[..end], false, &behind[end..])
                }
            };
            if word == key {
                return Some((value, quoted));
            }
            rest = after;
        }
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || digits.len() % 2 != 0 || !digits.is_ascii() {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The text of a line of /dev/kmsg, if the kernel itself has written it: `5,1234,1563459588,-;audit: type=...`. What others have
/// written there has another facility (Documentation/ABI/testing/dev-kmsg).
#[must_use]
pub fn of_the_kernel(line: &str) -> Option<&str> {
    let (prefix, text) = line.split_once(';')?;
    let priority = prefix.split(',').next()?.parse::<u32>().ok()?;
    let text = text.split('\n').next().unwrap_or(text);
    (priority < 8).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_KERNEL: &str = "audit: type=1326 audit(1795881239.378:21): auid=4294967295 uid=1390804992 gid=0 ses=1 pid=1409 \
         comm=\"log\" exe=\"/tmp/log\" sig=0 arch=c000003e syscall=110 compat=0 ip=0x7ff3108ae829 code=0x50000";

    #[test]
    fn the_log_of_the_kernel_and_the_file_of_auditd_say_the_same() {
        let of_auditd = OF_KERNEL.replace("audit: type=1326 ", "type=SECCOMP msg=").to_owned()
            + "\u{1d}AUID=\"unset\" UID=\"root\"";
        for line in [OF_KERNEL, &of_auditd] {
            let record = Record::parse(line).unwrap();
            assert_eq!((record.kind, record.serial), (Kind::Seccomp, 21));
            assert_eq!(record.time, 1_795_881_239_378);
            assert_eq!(record.number("uid"), Some(1_390_804_992));
            assert_eq!(record.number("syscall"), Some(110));
            assert_eq!(record.number("code"), Some(0x50000));
            assert_eq!(record.get("arch"), Some("c000003e"));
            assert_eq!(record.text("comm").unwrap(), "log");
            assert_eq!(record.get("id"), None);
            assert_eq!(record.get("UID"), None);
        }
    }

    #[test]
    fn a_program_cannot_write_a_field_by_its_name() {
        // What the kernel makes of the name `a" uid=0`.
        let line = OF_KERNEL.replace("\"log\"", "6122207569643D30");
        let record = Record::parse(&line).unwrap();
        assert_eq!(record.text("comm").unwrap(), "a\" uid=0");
        assert_eq!(record.number("uid"), Some(1_390_804_992));
        let quoted = OF_KERNEL.replace("comm=\"log\"", "comm=\"x pid=7\"");
        assert_eq!(Record::parse(&quoted).unwrap().number("pid"), Some(1409));
    }

    #[test]
    fn records_of_security_modules_are_read() {
        let selinux = "type=AVC msg=audit(1.000:2): avc:  denied  { read write } for  pid=7 comm=\"cat\" name=\"x y\" \
             scontext=system_u:system_r:container_t:s0:c1,c2 tclass=file permissive=0";
        let record = Record::parse(selinux).unwrap();
        assert_eq!(record.denied(), Some("read write"));
        assert_eq!(record.text("name").unwrap(), "x y");
        assert_eq!(record.get("tclass"), Some("file"));
        let apparmor = "audit: type=1400 audit(1.000:3): apparmor=\"DENIED\" operation=\"open\" profile=\"p\" name=\"/proc/x\" pid=8";
        let record = Record::parse(apparmor).unwrap();
        assert_eq!(record.get("apparmor"), Some("DENIED"));
        assert_eq!(record.denied(), None);
        let landlock =
            "type=UNKNOWN[1423] msg=audit(1.000:4): domain=1a2b blockers=fs.refer path=\"/usr\"";
        let record = Record::parse(landlock).unwrap();
        assert_eq!((record.kind, record.get("domain")), (Kind::LandlockAccess, Some("1a2b")));
    }

    #[test]
    fn what_is_no_such_record_is_none() {
        for line in [
            "",
            "audit: type=2000 audit(1.0:1): state=initialized",
            "type=SECCOMP msg=audit(1:1): x=1",
            "type=SECCOMP msg=audit(1.1000:1): x=1",
            "type=SECCOMP msg=audit(99999999999999999999.000:1): x=1",
            "usb 1-1: new device",
        ] {
            assert_eq!(Record::parse(line), None, "{line}");
        }
        let cut = Record::parse("type=SECCOMP msg=audit(1.000:1): comm=\"un").unwrap();
        assert_eq!(cut.text("comm").unwrap(), "un");
    }

    #[test]
    fn only_the_kernels_own_lines_count() {
        assert_eq!(
            of_the_kernel("5,1,2,-;audit: type=1326\n SUBSYSTEM=x"),
            Some("audit: type=1326")
        );
        assert_eq!(of_the_kernel("13,1,2,-;audit: type=1326"), None);
        assert_eq!(of_the_kernel("audit: type=1326"), None);
    }
}
