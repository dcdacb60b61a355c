//! Ways to break bytes, most of them knowing what JSON is made of.

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Texts that stand where a value was.
const NASTY: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "01",
    "1.",
    ".5",
    "1e5",
    "1E+99999999999",
    "1e-99999999999",
    "1e400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "79228162514264337593543950335",
    "79228162514264337593543950336",
    "0.00000000000000000000000000005",
    "253402300800000",
    "-62135596800001",
    "8210266876800000000",
    "1e28",
    "99999999999999999999999999999999999999999999999999999999999999999999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "\"\"",
    "\" \"",
    "\"NaN\"",
    "\"-Infinity\"",
    "\"NAN\"",
    "\"0\"",
    "\"1e30\"",
    "\"true\"",
    "\"FKB4\"",
    "\"AQ==\"",
    "\"AQ\"",
    "\"////////////////////////////////\"",
    "\"gAAAAAAAAAAAAAAAAAAAAAAA\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{202e}\u{0}\u{feff}é漢\"",
    "\"__debezium_unavailable_value\"",
    "\"2024-02-30T00:00:00Z\"",
    "\"2024-01-15Z\"",
    "\"0000-00-00 00:00:00\"",
    "\"+262143-12-31T23:59:59Z\"",
    "\"-262144-01-01T00:00:00Z\"",
    "\"2024-01-16T24:00:00Z\"",
    "\"2024-12-31T23:59:60Z\"",
    "\"2024-01-16T09:31:00+99:99\"",
    "\"2024-03-10T02:30:00\"",
    "\"c\"",
    "\"u\"",
    "\"d\"",
    "\"t\"",
    "\"m\"",
    "\"r\"",
    "\"first\"",
    "\"last\"",
    "\"incremental\"",
    "\"mysql-bin.999999999999999999999\"",
    "\"mysql-bin.\"",
    "\".\"",
    "\"mysql-bin.-1\"",
    "{}",
    "[]",
    "[null]",
    "{\"\":{}}",
    "{\"scale\":99,\"value\":\"AQ==\"}",
    "{\"scale\":-2147483648,\"value\":\"AQ==\"}",
    "{\"scale\":2147483647,\"value\":\"fw==\"}",
    "{\"scale\":\"2\",\"value\":1}",
    "{\"record_id\":1}",
    "{\"schema\":null,\"payload\":null}",
    "[\"1\",\"2\"]",
];

/// Breaks `text` a few times over. `other` lends pieces.
pub fn mutate(text: &mut Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) {
    for _ in 0..random.random_range(1..5) {
        if random.random_bool(0.7) {
            mutate_json(text, other, random);
        } else {
            mutate_bytes(text, other, random);
        }
    }
}

fn mutate_json(text: &mut Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) {
    let values = values(text);
    let Some(at) = values.choose(random).cloned() else { return mutate_bytes(text, other, random) };
    match random.random_range(0..9) {
        0..=3 => drop(text.splice(at, nasty(random))),
        4 => {
            let (mine, another) = (self::values(text), self::values(other));
            let Some(from) = another.choose(random) else { return };
            let piece = other[from.clone()].to_vec();
            if let Some(at) = mine.choose(random) {
                text.splice(at.clone(), piece);
            }
        }
        5 => {
            // The same member twice.
            let objects: Vec<_> = values.iter().filter(|range| text[range.start] == b'{').collect();
            let members: Vec<_> = values.iter().filter_map(|range| member(text, range)).collect();
            if let (Some(object), Some(member)) = (objects.choose(random), members.choose(random)) {
                let mut piece = text[member.clone()].to_vec();
                piece.push(b',');
                let start = object.start + 1;
                text.splice(start..start, piece);
            }
        }
        6 => {
            let members: Vec<_> = values.iter().filter_map(|range| member(text, range)).collect();
            if let Some(member) = members.choose(random) {
                let comma = usize::from(text.get(member.end) == Some(&b','));
                text.drain(member.start..member.end + comma);
            }
        }
        7 => {
            // A number or text becomes the other.
            let piece = text[at.clone()].to_vec();
            let new = match piece.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
                Some(inner) => inner.to_vec(),
                None => [b"\"".as_slice(), &piece, b"\""].concat(),
            };
            text.splice(at, new);
        }
        _ => {
            let depth = 1 << random.random_range(0..14);
            let (open, close) = *[("[", "]"), ("{\"a\":", "}")].choose(random).expect("there are two");
            let inner = text[at.clone()].to_vec();
            let deep = [open.repeat(depth).into_bytes(), inner, close.repeat(depth).into_bytes()].concat();
            text.splice(at, deep);
        }
    }
}

fn nasty(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..12) {
        0 => format!("{}{}", random.random::<i64>(), "0".repeat(random.random_range(0..400))).into_bytes(),
        1 => format!("{:e}", f64::from_bits(random.random())).into_bytes(),
        2 => format!("\"{}\"", "x".repeat(1 << random.random_range(0..16))).into_bytes(),
        3 => format!("\"{}\"", "A".repeat(random.random_range(0..4_000))).into_bytes(),
        _ => NASTY.choose(random).expect("the list is not empty").as_bytes().to_vec(),
    }
}

fn mutate_bytes(text: &mut Vec<u8>, other: &[u8], random: &mut ChaCha8Rng) {
    let end = text.len();
    let at = random.random_range(0..=end);
    let span = at..(at + random.random_range(0..24)).min(end);
    match random.random_range(0..7) {
        0 | 1 if end > 0 => text[at.min(end - 1)] ^= 1 << random.random_range(0..8),
        2 => text.truncate(at),
        3 => drop(text.drain(span)),
        4 => {
            let piece = text[span].to_vec();
            text.splice(at..at, piece.repeat(random.random_range(1..20)));
        }
        5 if !other.is_empty() => {
            let from = random.random_range(0..other.len());
            let piece = &other[from..(from + random.random_range(1..200)).min(other.len())];
            text.splice(at..at, piece.to_vec());
        }
        _ => {
            let piece: Vec<u8> = (0..random.random_range(1..9)).map(|_| random.random()).collect();
            text.splice(at..at, piece);
        }
    }
}

/// Where the values and the keys of a JSON text stand; of a broken one, whatever looks like them.
fn values(text: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < text.len() {
        let start = at;
        at += 1;
        match text[start] {
            b'{' | b'[' => open.push(start),
            b'}' | b']' => found.extend(open.pop().map(|start| start..at)),
            b'"' => {
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(text.len());
                found.push(start..at);
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => {
                while at < text.len() && !b",:{}[]\" \n\r\t".contains(&text[at]) {
                    at += 1;
                }
                found.push(start..at);
            }
        }
    }
    found
}

/// The member of an object whose value stands at `value`, with its key.
fn member(text: &[u8], value: &Range<usize>) -> Option<Range<usize>> {
    let before = text[..value.start].strip_suffix(b":")?.strip_suffix(b"\"")?;
    let key = before.iter().rposition(|byte| *byte == b'"')?;
    Some(key..value.end)
}
