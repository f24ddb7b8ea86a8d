//! Rows on the wire of gRPC.
//!
//! A message is written from the buffers in which Arrow holds its rows, with one copy. The messages of the crate
//! `arrow-flight` hold their rows in one piece: each byte is copied into it, and then into what is sent.

use arrow_flight::Ticket;
use bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

use crate::encode::Message;

/// Numbers of fields of `FlightData`. Flight.proto.
const HEADER: u32 = 2;
const BODY: u32 = 1000;

/// Tickets in, messages of rows out.
#[derive(Debug, Default)]
pub(crate) struct RowsCodec;

impl Codec for RowsCodec {
    type Encode = Message;
    type Decode = Ticket;
    type Encoder = MessageEncoder;
    type Decoder = ProstDecoder<Ticket>;

    fn encoder(&mut self) -> Self::Encoder {
        MessageEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Ticket, Ticket>::raw_decoder(BufferSettings::default())
    }
}

/// Writes messages as `FlightData`.
#[derive(Debug)]
pub(crate) struct MessageEncoder;

impl Encoder for MessageEncoder {
    type Item = Message;
    type Error = Status;

    fn encode(&mut self, message: Message, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let body: usize = message.body.iter().map(|buffer| buffer.len()).sum();
        to.reserve(length(HEADER, message.header.len()) + length(BODY, body));
        start(HEADER, message.header.len(), to);
        to.put_slice(&message.header);
        if body > 0 {
            start(BODY, body, to);
            for buffer in &message.body {
                to.put_slice(buffer);
            }
        }
        Ok(())
    }
}

/// What stands before a field of bytes.
fn start(field: u32, bytes: usize, to: &mut EncodeBuf<'_>) {
    encode_key(field, WireType::LengthDelimited, to);
    encode_varint(bytes as u64, to);
}

/// Bytes of a field of bytes.
fn length(field: u32, bytes: usize) -> usize {
    key_len(field) + encoded_len_varint(bytes as u64) + bytes
}
