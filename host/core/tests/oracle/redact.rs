//! Secrets in whatever leaves: nothing of a claimed form stays, nothing else is touched, however a stream is cut.

use std::fmt::Write as _;

use bailiwick_core::name::SecretName;
use bailiwick_core::redact::{Redactor, SHORTEST_SECRET};

use super::{is_plain, lines};

/// The forms in which a secret is found, with and without the spaces around it, which come and go in headers.
pub fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bare = Some(secret.trim()).filter(|bare| *bare != secret);
    std::iter::once(secret).chain(bare).flat_map(forms_of).collect()
}

/// The same of exactly this text, each by the encoder that writes it.
fn forms_of(secret: &str) -> Vec<Vec<u8>> {
    if secret.len() < SHORTEST_SECRET {
        return Vec::new();
    }
    let bytes = secret.as_bytes();
    let mut forms: Vec<Vec<u8>> = vec![bytes.to_vec(), hex(bytes), hex(bytes).to_ascii_uppercase()];
    for unescaped in [
        "",                              // all but letters and digits
        "-_.",                           // PHP urlencode
        "-_.~",                          // RFC 3986
        "-_.~/",                         // Python quote
        "-_.~!*'()",                     // encodeURIComponent
        "*-._",                          // application/x-www-form-urlencoded
        "-_.~!*'();/?:@&=+$,#",          // encodeURI
        "-_.~!$&'()*+,;=:@",             // RFC 3986, a segment of a path
        "-_.~$&+=:@",                    // Go PathEscape
        "!$%&()*+,-./:;=?@[\\]^_`{|}~",  // a browser's query, http and https
        "!$%&'()*+,-./:;=?@[\\]^_`{|}~", // a browser's query elsewhere
        "!$%&'()*+,-./:;=@[\\]^_|~",     // a browser's path
        "!$&'()*+,-.:;=@[]^_|~",         // a segment of that
        "!$%&'()*+,-._~",                // a browser's user name
    ] {
        for space in ["%20", "+"] {
            forms.extend([false, true].map(|lower| percent(bytes, unescaped, space, lower)));
        }
    }
    let not_ascii = |character: char| !character.is_ascii();
    for (slash, unicode) in [
        ("/", &(|_| false) as &dyn Fn(char) -> bool),
        ("/", &|character| matches!(character, '<' | '>' | '&')),
        ("/", &not_ascii),
        ("\\/", &|_| false),
        ("\\/", &not_ascii),
        ("/", &|character| not_ascii(character) || matches!(character, '<' | '>' | '&' | '\'' | '+' | '`' | '"')),
    ] {
        forms.push(json(secret, slash, unicode, false));
        forms.push(json(secret, slash, unicode, true));
    }
    for skipped in 0..3 {
        let standard = base64(bytes, skipped);
        forms.push(standard.iter().map(|byte| if *byte == b'+' { b'-' } else { *byte }).map(slash_to_line).collect());
        forms.push(standard);
    }
    forms.retain(|form| form.len() >= SHORTEST_SECRET);
    forms
}

fn slash_to_line(byte: u8) -> u8 {
    if byte == b'/' { b'_' } else { byte }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn percent(bytes: &[u8], unescaped: &str, space: &str, lower: bool) -> Vec<u8> {
    let write = |byte: &u8| match byte {
        b' ' => space.to_owned(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        byte if unescaped.bytes().any(|known| known == *byte) => char::from(*byte).to_string(),
        byte if lower => format!("%{byte:02x}"),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(write).collect::<String>().into_bytes()
}

fn json(secret: &str, slash: &str, unicode: &dyn Fn(char) -> bool, upper: bool) -> Vec<u8> {
    let mut text = String::new();
    for character in secret.chars() {
        let short = [('\u{8}', "\\b"), ('\u{c}', "\\f"), ('\n', "\\n"), ('\r', "\\r"), ('\t', "\\t")];
        let short = short.iter().find(|(control, _)| *control == character);
        match character {
            _ if short.is_some() => text.extend(short.map(|(_, escape)| *escape)),
            _ if character < ' ' || unicode(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let digits = format!("{unit:04x}");
                    let _ = write!(text, "\\u{}", if upper { digits.to_uppercase() } else { digits });
                }
            }
            '/' => text += slash,
            '"' | '\\' => text.extend(['\\', character]),
            _ => text.push(character),
        }
    }
    text.into_bytes()
}

/// The characters of base64 whose six bits are all the secret's, when it starts `skipped` bytes into a group.
fn base64(bytes: &[u8], skipped: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let (first, end) = (8 * skipped, 8 * (skipped + bytes.len()));
    let whole = (0..end / 6).filter(|character| 6 * character >= first);
    whole.map(|character| ALPHABET[(0..6).fold(0, |six, at| six << 1 | bit(6 * character + at - first))]).collect()
}

/// A place where a secret stands: its start, its end and whose it is.
type Place = (usize, usize, usize);

/// Every place, by looking at each for each form; those that overlap are one, with all whose longest form is in it.
fn places(secrets: &[(SecretName, String)], bytes: &[u8]) -> Vec<(usize, usize, Vec<usize>)> {
    let mut found: Vec<Place> = Vec::new();
    for (index, (_, secret)) in secrets.iter().enumerate() {
        for form in forms(secret) {
            let here = bytes.windows(form.len()).enumerate().filter(|(_, window)| *window == form);
            found.extend(here.map(|(start, _)| (start, start + form.len(), index)));
        }
    }
    found.sort_unstable();
    let mut places: Vec<(usize, usize, Vec<Place>)> = Vec::new();
    for place in found {
        match places.last_mut() {
            Some((_, end, inner)) if place.0 < *end => {
                *end = place.1.max(*end);
                inner.push(place);
            }
            Some(_) | None => places.push((place.0, place.1, vec![place])),
        }
    }
    let owners = |inner: Vec<Place>| {
        let longest = inner.iter().map(|(start, end, _)| end - start).max();
        inner.iter().filter(|(start, end, _)| Some(end - start) == longest).map(|(_, _, index)| *index).collect()
    };
    places.into_iter().map(|(start, end, inner)| (start, end, owners(inner))).collect()
}

/// Compares code and model on one text; the stream comes in pieces of these sizes, over and over. Says how many places
/// there were.
pub fn check(secrets: &[(SecretName, String)], bytes: &[u8], sizes: &[usize]) -> usize {
    let redactor = Redactor::new(secrets.iter().map(|(name, secret)| (name, secret.as_str())));
    let places = places(secrets, bytes);
    let mut expected = bytes.to_vec();
    places.iter().for_each(|(start, end, _)| expected[*start..*end].fill(b'*'));
    let mut masked = bytes.to_vec();
    assert_eq!(redactor.mask(&mut masked), !places.is_empty());
    assert_eq!(shown(&masked), shown(&expected), "{secrets:?}");
    let (mut stream, mut seen, mut rest) = (redactor.stream(), Vec::new(), bytes);
    for size in sizes.iter().cycle().take_while(|_| !sizes.is_empty()) {
        if rest.is_empty() {
            break;
        }
        // A piece may be empty, but not all of them.
        let size = if sizes.iter().all(|size| *size == 0) { 1 } else { *size };
        let (piece, others) = rest.split_at(size.min(rest.len()));
        seen.extend(stream.push(piece));
        rest = others;
    }
    seen.extend(stream.push(rest));
    seen.extend(stream.finish());
    assert_eq!(shown(&seen), shown(&expected), "{secrets:?} in pieces of {sizes:?}");
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_text(&redactor, secrets, &places, text);
    }
    places.len()
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn check_text(
    redactor: &Redactor,
    secrets: &[(SecretName, String)],
    places: &[(usize, usize, Vec<usize>)],
    text: &str,
) {
    let clean = redactor.secrets(text);
    let (mut rest, mut done) = (&*clean, 0);
    for (start, end, owners) in places {
        rest = rest.strip_prefix(&text[done..*start]).unwrap_or_else(|| panic!("{clean:?} of {text:?}"));
        let name = |owner: &usize| rest.strip_prefix(&format!("[secret {}]", secrets[*owner].0));
        rest = owners.iter().find_map(name).unwrap_or_else(|| panic!("{clean:?} of {text:?}: {secrets:?}"));
        done = *end;
    }
    assert_eq!(rest, &text[done..], "{clean:?} of {text:?}");
    let sent = redactor.text(text);
    assert!(is_plain(&sent), "{sent:?}");
    // A secret that looks like what it is replaced with, or like an escape, could come about by accident.
    let is_usual = |(name, secret): &(SecretName, String)| {
        let label = format!("[secret {name}]\\u{{}}");
        let usual = |character: char| character.is_ascii_alphanumeric() || "-_.+/=:~".contains(character);
        secret.chars().all(usual)
            && forms(secret).iter().all(|form| !label.as_bytes().windows(2).any(|pair| form.starts_with(pair)))
            && secret.len() >= 8
    };
    if secrets.iter().all(is_usual) {
        for (name, secret) in secrets {
            assert!(!sent.contains(secret), "`{name}` is in {sent:?}, which was {text:?}");
        }
    }
}

/// Lines: `sizes: 1 2 3`, `secret: VALUE` or `secret: "JSON"`, `text: TEXT`, `form: SECRET FORM`; then an empty line, and
/// bytes as they are.
pub fn input(data: &[u8]) {
    judge(data);
}

/// The same, and says how many places with a secret there were.
pub fn judge(data: &[u8]) -> usize {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let (head, mut body) = (&data[..end], Vec::new());
    let mut secrets: Vec<(SecretName, String)> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    for (keyword, text) in lines(head).take(64) {
        match keyword {
            "sizes" => sizes.extend(text.split(' ').filter_map(|size| size.parse::<usize>().ok()).take(16)),
            "secret" if secrets.len() < 8 && text.len() <= 512 => {
                let value = serde_json::from_str(text).unwrap_or_else(|_| text.to_owned());
                let name = SecretName::parse(&format!("S{}", secrets.len())).expect("a legal name");
                secrets.push((name, value));
            }
            "text" => body.extend(text.bytes()),
            "form" => {
                let mut numbers = text.split(' ').filter_map(|number| number.parse::<usize>().ok());
                let (secret, form) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
                let forms = secrets.get(secret).map_or_else(Vec::new, |(_, secret)| forms(secret));
                body.extend(forms.get(form % forms.len().max(1)).into_iter().flatten());
            }
            _ => {}
        }
    }
    body.extend(data.get(end + 2..).unwrap_or_default());
    body.truncate(1 << 14);
    check(&secrets, &body, &sizes)
}
