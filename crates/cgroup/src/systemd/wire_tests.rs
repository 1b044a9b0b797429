//! Tests of the wire format against bytes worked out from the specification.

use super::*;

const CALL: Call<'_> = Call {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
};

#[test]
fn a_call_is_aligned_and_parses_back() {
    let bytes = method_call(7, &CALL, &[]);
    assert_eq!(&bytes[..12], [b'l', 1, 0, 1, 0, 0, 0, 0, 7, 0, 0, 0]);
    assert_eq!(bytes.len() % 8, 0);
    let fixed: [u8; FIXED_HEADER] = bytes[..FIXED_HEADER].try_into().unwrap();
    assert_eq!(message_length(&fixed), Some(bytes.len()));
    let message = parse(&bytes).unwrap();
    assert_eq!((message.kind, message.member.as_str()), (1, "Hello"));
    assert_eq!(message.interface, "org.freedesktop.DBus");
}

#[test]
fn arguments_follow_the_header_on_an_eight_byte_boundary() {
    let mut body = Writer::default();
    body.string("unit");
    body.u32(5);
    let bytes = method_call(1, &Call { signature: "su", ..CALL }, &body.into_bytes());
    let message = parse(&bytes).unwrap();
    let mut reader = message.body();
    assert_eq!(reader.string().unwrap(), "unit");
    assert_eq!(reader.u32(), Some(5));
    assert_eq!(reader.u32(), None);
}

#[test]
fn properties_are_marshalled_with_inner_alignment() {
    let mut writer = Writer::default();
    writer.properties(&[("A".into(), Value::U64(1)), ("B".into(), Value::Bool(true))]);
    let expected: Vec<u8> = [
        // Length of the elements, padding to 8.
        &[40u8, 0, 0, 0, 0, 0, 0, 0][..],
        // "A", signature "t", the number on a boundary of 8.
        &[1, 0, 0, 0, b'A', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0],
        // "B", signature "b", four bytes of truth.
        &[1, 0, 0, 0, b'B', 0, 1, b'b', 0, 0, 0, 0, 1, 0, 0, 0],
    ]
    .concat();
    assert_eq!(writer.into_bytes(), expected);
}

#[test]
fn padding_before_the_first_element_is_not_part_of_the_length() {
    let mut writer = Writer::default();
    writer.variant(&Value::Pairs(vec![("a".into(), "b".into())]));
    let bytes = writer.into_bytes();
    assert_eq!(&bytes[..7], [5, b'a', b'(', b's', b's', b')', 0]);
    // Length at 8, the pair at 16: 6 bytes, 2 of padding, 6 bytes.
    assert_eq!(&bytes[8..16], [14, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes.len(), 30);
}

#[test]
fn big_endian_replies_are_read() {
    let bytes =
        [b'B', 2, 1, 1, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 8, 5, 1, b'u', 0, 0, 0, 0, 3, 0, 0, 0, 6];
    let fixed: [u8; FIXED_HEADER] = bytes[..FIXED_HEADER].try_into().unwrap();
    assert_eq!(message_length(&fixed), Some(bytes.len()));
    let message = parse(&bytes).unwrap();
    assert_eq!((message.kind, message.reply_serial), (Message::METHOD_RETURN, 3));
    assert_eq!(message.body().u32(), Some(6));
}

#[test]
fn truncated_and_absurd_messages_are_refused() {
    let bytes = method_call(7, &CALL, &[]);
    for end in 0..bytes.len() - 8 {
        assert!(parse(&bytes[..end]).is_none(), "{end}");
    }
    let mut huge: [u8; FIXED_HEADER] = bytes[..FIXED_HEADER].try_into().unwrap();
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(message_length(&huge), None);
    assert_eq!(message_length(b"HTTP/1.1 400 Bad"), None);
}
