//! What a payload tries and busybox cannot: system calls with their errno as the answer. One word of a command and
//! its arguments; prints `WORD=ok` or `WORD=ERRNO-NAME` lines.

fn main() {}
