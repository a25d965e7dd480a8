//! Knows nothing of the host's contract: a world of its own with every kind of WIT type, there and back.
#![expect(clippy::disallowed_methods, reason = "a guest's std::fs reaches its preopens only")]
#![expect(missing_docs, reason = "generated code has none")]

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package guests:typed@1.2.0;

        interface kinds {
            record point { x: s32, y: s32, label: option<string> }
            variant shape { empty, circle(f64), polygon(list<point>) }
            enum level { low, very-high }
            flags rights { read, write, exec }
            record everything {
                yes: bool, tiny: s8, byte: u8, short: s16, word: u16, int: s32, uint: u32, long: s64, ulong: u64,
                single: f32, double: f64, letter: char, text: string, bytes: list<u8>, words: list<u16>,
                pair: tuple<string, u8>, twins: tuple<u8, u8>, shape: shape, level: level, rights: rights,
                maybe: option<string>, maybe-maybe: option<option<u8>>, outcome: result<u8, string>, verdict: result,
                points: list<point>,
            }
            echo: func(all: everything) -> everything;
            show: func(shape: shape, scale: option<f64>) -> string;
            halve: func(number: u32) -> result<u32, string>;
            reject: func(level: level) -> result<_, level>;
            give-up: func() -> result;
            rest: func();
            odd-numbers: func() -> tuple<f32, f64, list<f64>>;
            many: func(count: u32) -> list<u64>;
            blob: func(size: u32) -> list<u8>;
            take: func(bytes: list<u8>) -> u32;
            crash: func();
            spin: func();
        }

        interface world-outside {
            read: func(path: string) -> result<string, string>;
            fetch: func(authority: string) -> result<u16, string>;
            reveal: func(name: string) -> result<list<u8>, string>;
        }

        interface things {
            resource counter {
                constructor(start: u32);
                next: func() -> u32;
                total: static func() -> u32;
            }
            all: func() -> list<counter>;
        }

        world typed {
            import bailiwick:host/secret@0.1.0;
            export add: func(a: u32, b: u32) -> u64;
            export kinds;
            export world-outside;
            export things;
            export greetings: interface {
                hello: func(name: string) -> string;
            }
        }
    ",
    world: "guests:typed/typed",
    generate_all,
});

use exports::greetings::Guest as Greetings;
use exports::guests::typed::kinds::{Everything, Guest as Kinds, Level, Shape};
use exports::guests::typed::things::{Counter, Guest as Things, GuestCounter};
use exports::guests::typed::world_outside::Guest as WorldOutside;

struct Component;

impl Guest for Component {
    fn add(a: u32, b: u32) -> u64 {
        u64::from(a) + u64::from(b)
    }
}

impl Greetings for Component {
    fn hello(name: String) -> String {
        format!("hello {name}")
    }
}

impl Kinds for Component {
    fn echo(all: Everything) -> Everything {
        all
    }

    fn show(shape: Shape, scale: Option<f64>) -> String {
        format!("{shape:?} {scale:?}")
    }

    fn halve(number: u32) -> Result<u32, String> {
        if number.is_multiple_of(2) { Ok(number / 2) } else { Err(format!("{number} is odd")) }
    }

    fn reject(level: Level) -> Result<(), Level> {
        match level {
            Level::Low => Ok(()),
            Level::VeryHigh => Err(level),
        }
    }

    fn give_up() -> Result<(), ()> {
        Err(())
    }

    fn rest() {}

    fn odd_numbers() -> (f32, f64, Vec<f64>) {
        (9.99, f64::NAN, vec![f64::INFINITY, f64::NEG_INFINITY, 1.5])
    }

    fn many(count: u32) -> Vec<u64> {
        (0..count.into()).collect()
    }

    fn blob(size: u32) -> Vec<u8> {
        vec![b'x'; size as usize]
    }

    fn take(bytes: Vec<u8>) -> u32 {
        bytes.len() as u32
    }

    fn crash() {
        panic!("on purpose");
    }

    fn spin() {
        let mut turns = 0_u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
}

impl WorldOutside for Component {
    fn read(path: String) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn fetch(authority: String) -> Result<u16, String> {
        let request = OutgoingRequest::new(Fields::new());
        request.set_scheme(Some(&Scheme::Http)).map_err(|()| "no such scheme")?;
        request.set_authority(Some(&authority)).map_err(|()| "no such authority")?;
        request.set_path_with_query(Some("/")).map_err(|()| "no such path")?;
        let answer = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
        answer.subscribe().block();
        match answer.get() {
            Some(Ok(Ok(response))) => Ok(response.status()),
            Some(Ok(Err(code))) => Err(format!("{code:?}")),
            Some(Err(())) | None => Err("there is no answer".to_owned()),
        }
    }

    fn reveal(name: String) -> Result<Vec<u8>, String> {
        // Two bytes before it: so that its base64 is not the one of the secret alone.
        let value = bailiwick::host::secret::reveal(&name).map_err(|denial| format!("{denial:?}"))?;
        Ok([b"::", value.as_bytes()].concat())
    }
}

impl Things for Component {
    type Counter = u32;

    fn all() -> Vec<Counter> {
        Vec::new()
    }
}

impl GuestCounter for u32 {
    fn new(start: u32) -> Self {
        start
    }

    fn next(&self) -> u32 {
        self + 1
    }

    fn total() -> u32 {
        42
    }
}

#[allow(unsafe_code, reason = "generated by wit-bindgen")]
const _: () = {
    export!(Component);
};
