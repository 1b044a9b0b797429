//! A small client of the Kubernetes Container Runtime Interface, for tests that are shell programs: requests and answers are
//! JSON, so that a test says what it sends and jq takes apart what comes back. It has no state and no retries, and it
//! knows nothing about containers.

mod grpc;
mod schema;
mod streaming;

use std::io::Read;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cri-client [--socket PATH] call METHOD [JSON]   one call; the request is JSON (default: standard input)
       cri-client stream [--size ROWSxCOLS] URL        follows the address that Exec or Attach gave
       cri-client forward URL PORT                     sends standard input to a port of a pod, prints what it answers

call prints the answer as JSON; stream and exec copy standard input, output and error. The status is 0, that of the
command in the container, or 125 with a message when the call itself failed.";

const DEFAULT_SOCKET: &str = "/run/containerd/containerd.sock";
const FAILED: u8 = 125;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let socket = option(&mut words, "--socket").unwrap_or_else(|| DEFAULT_SOCKET.to_owned());
    let size = option(&mut words, "--size");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["call", method] => standard_input().and_then(|json| call(&socket, method, &json)),
        ["call", method, json] => call(&socket, method, json),
        ["stream", url] => streaming::follow(url, size.as_deref()),
        ["forward", url, port] => forward(url, port),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("cri-client: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Takes `name VALUE` out of the words.
fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let at = words.iter().position(|word| word == name)?;
    (at + 1 < words.len()).then(|| {
        words.remove(at);
        words.remove(at)
    })
}

fn standard_input() -> Result<String, Error> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn call(socket: &str, name: &str, json: &str) -> Result<u8, Error> {
    let method = schema::method(name)?;
    let request = schema::encode(&method, json)?;
    let answer = grpc::unary(socket, &schema::path(&method), request)?;
    println!("{}", schema::decode(&method, answer)?);
    Ok(0)
}

fn forward(url: &str, port: &str) -> Result<u8, Error> {
    streaming::forward(url, port.parse()?, standard_input()?.as_bytes())
}
