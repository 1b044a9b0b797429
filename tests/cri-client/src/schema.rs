//! What the interface's messages look like: compiled from `cri.proto` at every start, which takes milliseconds and saves
//! a build step. JSON is protobuf's own mapping: names in either case, defaults left out, bytes in base64.

use crate::Error;
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MethodDescriptor, SerializeOptions};
use protox::file::{File, FileResolver};

const NAME: &str = "cri.proto";

/// Resolves the one file that is compiled into the program.
struct BuiltIn;

impl FileResolver for BuiltIn {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            NAME => File::from_source(NAME, include_str!("cri.proto")),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The method of that name, of whichever service has it.
pub fn method(name: &str) -> Result<MethodDescriptor, Error> {
    let mut compiler = protox::Compiler::with_file_resolver(BuiltIn);
    compiler.open_file(NAME)?;
    let pool = compiler.descriptor_pool();
    let found = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .find(|method| method.name() == name);
    found.ok_or_else(|| format!("no method {name} in {NAME}").into())
}

/// The method's path in HTTP.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The request as the method wants it. A field that the interface does not have is an error.
pub fn encode(method: &MethodDescriptor, json: &str) -> Result<Vec<u8>, Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut reader = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize_with_options(method.input(), &mut reader, &options)?;
    reader.end()?;
    Ok(message.encode_to_vec())
}

/// The answer as JSON, numbers of 64 bits as numbers.
pub fn decode(method: &MethodDescriptor, bytes: Bytes) -> Result<String, Error> {
    let message = DynamicMessage::decode(method.output(), bytes)?;
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let mut out = Vec::new();
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut out), &options)?;
    Ok(String::from_utf8(out)?)
}
