//! The D-Bus wire format, as far as talking to systemd needs it.
//!
//! Marshalling of basic types, arrays and variants (D-Bus specification, "Marshaling"), and the message
//! header. Only little-endian messages are written; both orders are read. What the messages mean is not known here.

/// A value inside a variant: the types that unit properties have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `d`
    F64(f64),
    /// `s`
    Str(String),
    /// `ay`
    Bytes(Vec<u8>),
    /// `au`
    Numbers(Vec<u32>),
    /// `as`
    Strings(Vec<String>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::F64(_) => "d",
            Self::Str(_) => "s",
            Self::Bytes(_) => "ay",
            Self::Numbers(_) => "au",
            Self::Strings(_) => "as",
            Self::Pairs(_) => "a(ss)",
        }
    }
}

/// A named unit property.
pub type Property = (String, Value);

/// Builds a message body or header; every value is aligned as its type demands, counted from the start.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.align(8);
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.u32(value.into());
    }

    /// A string or an object path.
    pub(super) fn string(&mut self, value: &str) {
        self.u32(value.len() as u32);
        self.bytes.extend(value.as_bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, value: &str) {
        self.bytes.push(value.len() as u8);
        self.bytes.extend(value.as_bytes());
        self.bytes.push(0);
    }

    /// An array: its length in bytes is known when `fill` has written the elements; padding before the first
    /// element does not count.
    fn array(&mut self, element_alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.bytes.len() - 4;
        self.align(element_alignment);
        let start = self.bytes.len();
        fill(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Bool(v) => self.bool(*v),
            Value::I32(v) => self.u32(*v as u32),
            Value::U32(v) => self.u32(*v),
            Value::I64(v) => self.u64(*v as u64),
            Value::U64(v) => self.u64(*v),
            Value::F64(v) => self.u64(v.to_bits()),
            Value::Str(v) => self.string(v),
            Value::Bytes(v) => self.array(1, |w| w.bytes.extend(v)),
            Value::Numbers(v) => self.numbers(v),
            Value::Strings(v) => self.array(4, |w| v.iter().for_each(|s| w.string(s))),
            Value::Pairs(v) => self.array(8, |w| v.iter().for_each(|pair| w.pair(pair))),
        }
    }

    /// `au`
    pub(super) fn numbers(&mut self, numbers: &[u32]) {
        self.array(4, |w| numbers.iter().for_each(|n| w.u32(*n)));
    }

    fn pair(&mut self, (first, second): &(String, String)) {
        self.align(8);
        self.string(first);
        self.string(second);
    }

    /// `a(sv)`
    pub(super) fn properties(&mut self, properties: &[Property]) {
        self.array(8, |w| {
            for (name, value) in properties {
                w.align(8);
                w.string(name);
                w.variant(value);
            }
        });
    }

    /// An empty `a(sa(sv))`.
    pub(super) fn no_auxiliary_units(&mut self) {
        self.array(8, |_| {});
    }
}

/// What a method call says beside its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) signature: &'a str,
}

const METHOD_CALL: u8 = 1;
const PROTOCOL_VERSION: u8 = 1;
// Header fields of the D-Bus specification, "Header Fields".
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A whole message.
pub(super) fn method_call(serial: u32, call: &Call<'_>, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.bytes.extend([b'l', METHOD_CALL, 0, PROTOCOL_VERSION]);
    writer.u32(body.len() as u32);
    writer.u32(serial);
    writer.array(8, |w| {
        let strings = [
            (PATH, "o", call.path),
            (INTERFACE, "s", call.interface),
            (MEMBER, "s", call.member),
            (DESTINATION, "s", call.destination),
        ];
        for (field, signature, value) in strings {
            w.align(8);
            w.byte(field);
            w.signature(signature);
            w.string(value);
        }
        if !call.signature.is_empty() {
            w.align(8);
            w.byte(SIGNATURE);
            w.signature("g");
            w.signature(call.signature);
        }
    });
    writer.align(8);
    writer.bytes.extend(body);
    writer.bytes
}

/// A received message: the header fields that matter, and the body.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) reply_serial: u32,
    pub(super) interface: String,
    pub(super) member: String,
    pub(super) error_name: String,
    body: Vec<u8>,
    big_endian: bool,
}

impl Message {
    pub(super) const METHOD_RETURN: u8 = 2;
    pub(super) const ERROR: u8 = 3;
    pub(super) const SIGNAL: u8 = 4;

    /// Reads the arguments.
    pub(super) fn body(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0, big_endian: self.big_endian }
    }

    /// The first argument if it is a string: the text of an error.
    pub(super) fn text(&self) -> String {
        self.body().string().unwrap_or_default()
    }
}

/// Bytes of the fixed part of a header, which tells the length of the rest.
pub(super) const FIXED_HEADER: usize = 16;
/// No answer of systemd is near this; the specification allows 128 MiB.
const MAX_MESSAGE: usize = 1 << 20;

/// The length of the whole message whose first 16 bytes are given; `None`: no sane message.
pub(super) fn message_length(fixed: &[u8; FIXED_HEADER]) -> Option<usize> {
    let big_endian = match fixed[0] {
        b'l' => false,
        b'B' => true,
        _ => return None,
    };
    let mut reader = Reader { bytes: fixed, at: 4, big_endian };
    let body = reader.u32()? as usize;
    reader.u32()?;
    let fields = reader.u32()? as usize;
    let header = FIXED_HEADER.checked_add(fields)?.next_multiple_of(8);
    header.checked_add(body).filter(|length| *length <= MAX_MESSAGE)
}

/// Take a whole message apart; `None`: malformed.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let big_endian = *bytes.first()? == b'B';
    let mut message = Message { kind: *bytes.get(1)?, big_endian, ..Message::default() };
    let mut reader = Reader { bytes, at: 12, big_endian };
    let end = reader.u32()? as usize + FIXED_HEADER;
    while reader.at < end {
        reader.align(8);
        let field = reader.byte()?;
        let signature = reader.signature()?;
        match (field, signature.as_str()) {
            (REPLY_SERIAL, "u") => message.reply_serial = reader.u32()?,
            (INTERFACE, "s") => message.interface = reader.string()?,
            (MEMBER, "s") => message.member = reader.string()?,
            (ERROR_NAME, "s") => message.error_name = reader.string()?,
            (_, "s" | "o") => drop(reader.string()?),
            (_, "u") => drop(reader.u32()?),
            (_, "g") => drop(reader.signature()?),
            _ => return None,
        }
    }
    message.body = bytes.get(end.next_multiple_of(8)..)?.to_vec();
    Some(message)
}

/// Reads values one after the other; `None` at the end or when the bytes are no such value.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let big_endian = self.big_endian;
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn string(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.text(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()? as usize;
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        (self.byte()? == 0).then_some(text)
    }

    /// A variant that holds a string.
    pub(super) fn string_variant(&mut self) -> Option<String> {
        (self.signature()? == "s").then(|| self.string())?
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
