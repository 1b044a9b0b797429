//! One gRPC call over a unix socket. A call is an HTTP/2 POST whose body is the message behind five bytes (a flag for
//! compression and a length), and whose outcome stands in the trailers.

use crate::Error;
use bytes::{BufMut, Bytes, BytesMut};
use h2::client::ResponseFuture;
use http::{HeaderMap, Request};
use std::time::Duration;
use tokio::net::UnixStream;

/// Longer than any call that a test makes; a stop waits for what it stops.
const LIMIT: Duration = Duration::from_secs(120);
const PREFIX: usize = 5;

/// Sends the message to the method and gives the answer's message. The error is the server's own text.
pub fn unary(socket: &str, path: &str, message: Vec<u8>) -> Result<Bytes, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(LIMIT, exchange(socket, path, message)).await? })
}

async fn exchange(socket: &str, path: &str, message: Vec<u8>) -> Result<Bytes, Error> {
    let stream = UnixStream::connect(socket).await.map_err(|error| format!("{socket}: {error}"))?;
    let (client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let request = Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut body) = client.ready().await?.send_request(request, false)?;
    body.send_data(framed(&message)?, true)?;
    receive(answer).await
}

fn framed(message: &[u8]) -> Result<Bytes, Error> {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len())?);
    frame.put_slice(message);
    Ok(frame.freeze())
}

async fn receive(answer: ResponseFuture) -> Result<Bytes, Error> {
    let (head, mut body) = answer.await?.into_parts();
    let mut data = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        data.put(chunk);
    }
    // An answer without a body has its outcome in the headers.
    let trailers = body.trailers().await?.unwrap_or(head.headers);
    check(&trailers)?;
    if data.len() < PREFIX {
        return Err("the answer has no message".into());
    }
    Ok(data.freeze().slice(PREFIX..))
}

fn check(trailers: &HeaderMap) -> Result<(), Error> {
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    match text("grpc-status") {
        "0" => Ok(()),
        code => Err(format!("code {code}: {}", unescaped(text("grpc-message"))).into()),
    }
}

/// gRPC writes bytes outside of printable ASCII as `%XX`.
fn unescaped(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) if first == b'%' => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
