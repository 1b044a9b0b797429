//! Whether a command line needs the protected image: the only reader of argv beside the command line's own.
//!
//! It runs before the C library does ([`crate::entry`]), so it calls nothing and holds no table of pointers.

/// `create`, `run` or `exec` among the arguments: the commands that put a process of ours into a container. A word that only
/// looks like one of them costs half a millisecond and nothing else.
///
/// # Safety
/// `argv` is a vector of NUL-terminated strings that a null ends.
pub(crate) unsafe fn enters_a_container(argv: *const *const u8) -> bool {
    // SAFETY: as the caller promises; the first is looked at before the second.
    unsafe {
        if (*argv).is_null() {
            return false;
        }
        let mut next = argv.add(1);
        while !(*next).is_null() {
            if starts_with(*next, b"create\0")
                || starts_with(*next, b"run\0")
                || starts_with(*next, b"exec\0")
            {
                return true;
            }
            next = next.add(1);
        }
    }
    false
}

/// # Safety
/// `text` is a NUL-terminated string. A prefix with a NUL is the whole text.
pub(crate) unsafe fn starts_with(text: *const u8, prefix: &[u8]) -> bool {
    let mut i = 0;
    while i < prefix.len() {
        // SAFETY: the comparison ends at the first difference, so not behind text's NUL; i is inside prefix.
        if unsafe { *text.add(i) != *prefix.as_ptr().add(i) } {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::enters_a_container;
    use std::ffi::CStr;

    fn asked(arguments: &[&CStr]) -> bool {
        let mut argv: Vec<*const u8> = arguments.iter().map(|text| text.as_ptr().cast()).collect();
        argv.push(std::ptr::null());
        // SAFETY: made so above.
        unsafe { enters_a_container(argv.as_ptr()) }
    }

    #[test]
    fn commands_that_enter_a_container_are_told_from_others() {
        for word in [c"create", c"run", c"exec"] {
            assert!(asked(&[c"casemate", word]));
            assert!(asked(&[c"casemate", c"--root", c"/x", word, c"id"]));
        }
        for word in [c"start", c"running", c"exe", c""] {
            assert!(!asked(&[c"casemate", word]));
        }
        assert!(!asked(&[c"run"]));
        assert!(!asked(&[]));
    }
}
