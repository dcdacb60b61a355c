//! RFC 6455 after the handshake, case by case: bytes in, behaviour out.

use crate::raw::{Raw, Reply, Site, frame, request, with_size};
use futures::future::join_all;
use market::wire::ServerMessage;
use server::feed::SocketConfig;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// The same without FIN: more fragments follow.
const TEXT_OPEN: u8 = 0x01;
const BINARY_OPEN: u8 = 0x02;
const MORE: u8 = 0x00;
const LAST: u8 = 0x80;

/// What the server does.
#[derive(Clone, Debug)]
enum Then {
    /// A whole message arrived; it says nothing that is understood, so an error comes and the connection stays.
    Heard,
    Pong(Vec<u8>),
    /// A Close frame with this code, or none; and then the end of the stream, before the client does anything.
    Closes(Option<u16>),
    /// The end of the stream without a Close frame.
    Ends,
}
use Then::{Closes, Ends, Heard};

struct Case {
    name: String,
    bytes: Vec<u8>,
    then: Vec<Then>,
    /// Whether the client ends its side after the bytes.
    fin: bool,
}

fn case(name: impl Into<String>, frames: &[Vec<u8>], then: &[Then]) -> Case {
    Case { name: name.into(), bytes: frames.concat(), then: then.to_vec(), fin: false }
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, payload.len() as u8][..], payload].concat()
}

fn framing() -> Vec<Case> {
    let violation = [Closes(Some(1002))];
    let mut cases = vec![
        case("unmasked text", &[unmasked(TEXT, b"hi")], &violation),
        case("unmasked binary", &[unmasked(BINARY, b"hi")], &violation),
        case("unmasked ping", &[unmasked(PING, b"")], &violation),
        case("unmasked close", &[unmasked(CLOSE, &[3, 232])], &violation),
        case("reserved bit on a ping", &[frame(PING | 0x40, b"")], &violation),
        case("reserved bit on a continuation", &[frame(TEXT_OPEN, b"a"), frame(LAST | 0x40, b"b")], &violation),
        case("fragmented ping", &[frame(PING & 0x7f, b"")], &violation),
        case("fragmented pong", &[frame(PONG & 0x7f, b"")], &violation),
        case("fragmented close", &[frame(CLOSE & 0x7f, b"")], &violation),
        case("ping of 126 bytes", &[frame(PING, &[0; 126])], &violation),
        case("pong of 126 bytes", &[frame(PONG, &[0; 126])], &violation),
        case("close of 126 bytes", &[close(1000, &[b'x'; 124])], &violation),
        case("continuation of nothing", &[frame(LAST, b"hi")], &violation),
        case("open continuation of nothing", &[frame(MORE, b"hi")], &violation),
        case(
            "continuation of a finished message",
            &[frame(TEXT, b"hi"), frame(LAST, b"hi")],
            &[Heard, Closes(Some(1002))],
        ),
        case("text inside a message", &[frame(TEXT_OPEN, b"a"), frame(TEXT, b"b")], &violation),
        case("binary inside a message", &[frame(BINARY_OPEN, b"a"), frame(BINARY, b"b")], &violation),
        case("another request of HTTP", &[request(&[]).into_bytes()], &violation),
        case("a hello of TLS", &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()], &violation),
        case("text", &[frame(TEXT, b"hi")], &[Heard]),
        case("empty text", &[frame(TEXT, b"")], &[Heard]),
        case("binary", &[frame(BINARY, b"hi")], &[Heard]),
        case("empty binary", &[frame(BINARY, b"")], &[Heard]),
        case("two fragments", &[frame(TEXT_OPEN, b"h"), frame(LAST, b"i")], &[Heard]),
        case("fragments of binary", &[frame(BINARY_OPEN, b"h"), frame(MORE, b"i"), frame(LAST, b"!")], &[Heard]),
        case("empty fragments", &[frame(TEXT_OPEN, b""), frame(MORE, b""), frame(LAST, b"")], &[Heard]),
        case(
            "an empty fragment in the middle",
            &[frame(TEXT_OPEN, b"h"), frame(MORE, b""), frame(LAST, b"i")],
            &[Heard],
        ),
        case("two messages in one packet", &[frame(TEXT, b"hi"), frame(BINARY, b"hi")], &[Heard, Heard]),
    ];
    for bits in [0x10, 0x20, 0x40, 0x70] {
        cases.push(case(format!("reserved bits {bits:x}"), &[frame(TEXT | bits, b"hi")], &violation));
    }
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        cases.push(case(format!("reserved opcode {opcode:x}"), &[frame(0x80 | opcode, b"")], &violation));
    }
    cases
}

fn control() -> Vec<Case> {
    let pong = |payload: &[u8]| Then::Pong(payload.to_vec());
    let many: Vec<Vec<u8>> = (0..10).map(|n| frame(PING, &[n])).collect();
    let answers: Vec<Then> = (0..10).map(|n| pong(&[n])).collect();
    vec![
        case("empty ping", &[frame(PING, b"")], &[pong(b"")]),
        case("ping with text", &[frame(PING, b"are you there")], &[pong(b"are you there")]),
        case("ping that is no UTF-8", &[frame(PING, &[0xff, 0xfe])], &[pong(&[0xff, 0xfe])]),
        case("ping of 125 bytes", &[frame(PING, &[7; 125])], &[pong(&[7; 125])]),
        case("ten pings in one packet", &many, &answers),
        case("pong nobody asked for", &[frame(PONG, b"x"), frame(PING, b"")], &[pong(b"")]),
        case(
            "ping between fragments",
            &[frame(TEXT_OPEN, b"h"), frame(PING, b"p"), frame(LAST, b"i")],
            &[pong(b"p"), Heard],
        ),
        case("pong between fragments", &[frame(TEXT_OPEN, b"h"), frame(PONG, b"p"), frame(LAST, b"i")], &[Heard]),
        case("close between fragments", &[frame(TEXT_OPEN, b"h"), close(1000, b"")], &[Closes(Some(1000))]),
    ]
}

fn closing() -> Vec<Case> {
    let mut cases = vec![
        case("close without a code", &[frame(CLOSE, b"")], &[Closes(None)]),
        case("close with half a code", &[frame(CLOSE, &[3])], &[Closes(Some(1002))]),
        case("close with the longest reason", &[close(1000, &[b'x'; 123])], &[Closes(Some(1000))]),
        case("close with a reason that is no UTF-8", &[close(1000, &[0xff])], &[Closes(Some(1007))]),
        case("close and then garbage", &[close(1000, b""), vec![0xff; 200]], &[Closes(Some(1000))]),
        case("close and then a message", &[close(1000, b""), frame(TEXT, b"hi")], &[Closes(Some(1000))]),
        case("close twice", &[close(1000, b""), close(1001, b"")], &[Closes(Some(1000))]),
        case("message and close in one packet", &[frame(TEXT, b"hi"), close(1000, b"")], &[Heard, Closes(Some(1000))]),
    ];
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999] {
        cases.push(case(format!("close {code} comes back"), &[close(code, b"bye")], &[Closes(Some(code))]));
    }
    for code in [0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
        cases.push(case(format!("close {code} may not be sent"), &[close(code, b"bye")], &[Closes(Some(1002))]));
    }
    cases
}

fn text() -> Vec<Case> {
    let wrong = [Closes(Some(1007))];
    let euro = "€".as_bytes();
    let mut cases = vec![
        case("code points of every length", &[frame(TEXT, "a¢€𐍈".as_bytes())], &[Heard]),
        case("a code point over two fragments", &[frame(TEXT_OPEN, &euro[..1]), frame(LAST, &euro[1..])], &[Heard]),
        case(
            "a code point over three fragments",
            &[frame(TEXT_OPEN, &euro[..1]), frame(MORE, &euro[1..2]), frame(LAST, &euro[2..])],
            &[Heard],
        ),
        case("binary that is no UTF-8", &[frame(BINARY, &[0xff, 0xfe])], &[Heard]),
        case("a code point that breaks off", &[frame(TEXT, &euro[..2])], &wrong),
        case(
            "a code point that breaks off in the last fragment",
            &[frame(TEXT_OPEN, b"a"), frame(LAST, &euro[..2])],
            &wrong,
        ),
        case("wrong over two fragments", &[frame(TEXT_OPEN, &euro[..1]), frame(LAST, b"a")], &wrong),
        case("wrong in the first fragment, which is enough", &[frame(TEXT_OPEN, &[0xff])], &wrong),
    ];
    let wrongs: [(&str, &[u8]); 7] = [
        ("a byte that is never there", &[0xff]),
        ("a continuation alone", &[0x80]),
        ("two bytes for one", &[0xc0, 0xaf]),
        ("three bytes for one", &[0xe0, 0x80, 0xaf]),
        ("half a surrogate pair", &[0xed, 0xa0, 0x80]),
        ("beyond Unicode", &[0xf4, 0x90, 0x80, 0x80]),
        ("five bytes", &[0xf8, 0x88, 0x80, 0x80, 0x80]),
    ];
    for (name, bytes) in wrongs {
        cases.push(case(format!("text with {name}"), &[frame(TEXT, &[b"ok", bytes].concat())], &wrong));
    }
    cases
}

fn sizes() -> Vec<Case> {
    const LIMIT: usize = 64 << 10;
    let too_big = [Closes(Some(1009))];
    let half = vec![b'x'; LIMIT / 2];
    let only_header = |size: u64| with_size(TEXT, &[&[127][..], &size.to_be_bytes()].concat(), b"");
    vec![
        case("125 bytes", &[frame(TEXT, &[b'x'; 125])], &[Heard]),
        case("126 bytes", &[frame(TEXT, &[b'x'; 126])], &[Heard]),
        case("65,535 bytes", &[frame(TEXT, &[b'x'; 65_535])], &[Heard]),
        case("the largest message", &[frame(TEXT, &vec![b'x'; LIMIT])], &[Heard]),
        case("the largest message in fragments", &[frame(TEXT_OPEN, &half), frame(LAST, &half)], &[Heard]),
        case("one byte too many", &[frame(BINARY, &vec![0; LIMIT + 1])], &too_big),
        case(
            "one byte too many in fragments",
            &[frame(TEXT_OPEN, &half), frame(MORE, &half), frame(LAST, b"x")],
            &too_big,
        ),
        case("a header that announces 1 GiB", &[only_header(1 << 30)], &too_big),
        case("a header that announces 2^63 - 1 bytes", &[only_header(u64::MAX >> 1)], &too_big),
        case("a length with its highest bit", &[only_header(1 << 63)], &[Closes(Some(1002))]),
        // The RFC wants the shortest form; whoever writes a longer one is still understood.
        case("a short length in 16 bits", &[with_size(TEXT, &[126, 0, 2], b"hi")], &[Heard]),
        case("a short length in 64 bits", &[with_size(TEXT, &[127, 0, 0, 0, 0, 0, 0, 0, 2], b"hi")], &[Heard]),
    ]
}

fn half_open() -> Vec<Case> {
    [
        ("the end at once", vec![], Ends),
        ("the end inside a header", vec![TEXT], Ends),
        ("the end inside a frame", frame(TEXT, b"hello")[..8].to_vec(), Ends),
        ("the end inside a message", frame(TEXT_OPEN, b"hello"), Ends),
        ("close and the end", close(1000, b""), Closes(Some(1000))),
    ]
    .into_iter()
    .map(|(name, bytes, then)| Case { name: name.into(), bytes, then: vec![then], fin: true })
    .collect()
}

/// Plays a case, the bytes in pieces of this size.
async fn play(site: &Site, case: &Case, piece: usize) {
    let name = format!("{} in pieces of {piece}", case.name);
    let mut raw = Raw::open(site.address).await;
    for bytes in case.bytes.chunks(piece) {
        raw.send(bytes).await;
        tokio::task::yield_now().await;
    }
    if case.fin {
        raw.finish().await;
    }
    for then in &case.then {
        let answer = raw.answer().await;
        match (then, &answer) {
            (Heard, Reply::Message(ServerMessage::Error { code, .. })) if code == "bad_message" => {}
            (Then::Pong(payload), Reply::Pong(answer)) if payload == answer => {}
            (Ends, Reply::End) => {}
            (Closes(code), Reply::Close(answer, _)) if code == answer => {
                assert_eq!(raw.reply().await, Reply::End, "{name}: the server ends the stream by itself");
            }
            _ => panic!("{name}: expected {then:?}, got {answer:?}"),
        }
    }
    if matches!(case.then.last(), Some(Heard | Then::Pong(_))) {
        raw.send(&frame(PING, b"still there")).await;
        assert_eq!(raw.answer().await, Reply::Pong(b"still there".to_vec()), "{name}: the connection stays");
    }
}

#[tokio::test]
async fn every_case_of_rfc_6455_has_the_behaviour_it_wants() {
    let site = Site::start(SocketConfig { max_sockets_per_address: 1_000, ..SocketConfig::default() }).await;
    let cases: Vec<Case> =
        [framing(), control(), closing(), text(), sizes(), half_open()].into_iter().flatten().collect();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    join_all(cases.iter().map(|case| play(&site, case, usize::MAX))).await;
    // Whole, and byte by byte, must be the same.
    join_all(cases.iter().filter(|case| case.bytes.len() < 300).map(|case| play(&site, case, 1))).await;
    site.until_empty().await;
}

#[tokio::test]
async fn a_message_in_the_same_packet_as_the_handshake_is_heard() {
    let site = Site::start(SocketConfig::default()).await;
    let bytes = [request(&[]).into_bytes(), frame(PING, b"early")].concat();
    let (mut raw, head) = Raw::ask(site.address, &bytes).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(raw.answer().await, Reply::Pong(b"early".to_vec()));
}

#[tokio::test]
async fn a_connection_that_is_reset_frees_its_seat() {
    let site = Site::start(SocketConfig::default()).await;
    let mut raw = Raw::open(site.address).await;
    raw.reply().await;
    assert_eq!(site.door.taken(), 1);
    raw.reset();
    site.until_empty().await;
    assert_eq!(site.hub.sessions(), 0);
}
