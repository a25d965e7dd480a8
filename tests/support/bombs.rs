//! Components that no toolchain would make, byte by byte: small files that are much work to compile, or much of something.

/// A number as WebAssembly writes it.
pub(crate) fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A section: its kind, its length, its bytes.
pub(crate) fn section(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(bytes.len()), bytes].concat()
}

/// As many of an item: their number, then each.
fn times(count: usize, item: &[u8]) -> Vec<u8> {
    [leb(count), item.repeat(count)].concat()
}

/// A component of these sections.
pub(crate) fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
}

/// A component that is one core module of these sections.
pub(crate) fn core(sections: &[Vec<u8>]) -> Vec<u8> {
    component(&[section(1, &[b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat())])
}

const NO_VALUES: &[u8] = b"\x60\0\0";
const ONE_TO_ONE: &[u8] = b"\x60\x01\x7f\x01\x7f";

/// The same function, many times.
pub(crate) fn functions(count: usize, body: &[u8]) -> Vec<u8> {
    code(NO_VALUES, count, body)
}

fn code(ty: &[u8], count: usize, body: &[u8]) -> Vec<u8> {
    let body = [leb(body.len()), body.to_vec()].concat();
    core(&[section(1, &times(1, ty)), section(3, &times(count, b"\0")), section(10, &times(count, &body))])
}

/// One function of about this many bytes, all of which count: a sum of products.
pub(crate) fn sum(bytes: usize) -> Vec<u8> {
    let body = [b"\0\x20\0".to_vec(), b"\x20\0\x6c\x41\x07\x6a".repeat(bytes / 6), b"\x0b".to_vec()].concat();
    code(ONE_TO_ONE, 1, &body)
}

/// One function with this many local variables.
pub(crate) fn locals(count: usize) -> Vec<u8> {
    functions(1, &[b"\x01".to_vec(), leb(count), b"\x7f\x0b".to_vec()].concat())
}

/// One function of empty blocks, each in the one before.
pub(crate) fn blocks(depth: usize) -> Vec<u8> {
    functions(1, &[b"\0".to_vec(), b"\x02\x40".repeat(depth), b"\x0b".repeat(depth + 1)].concat())
}

/// One function of loops, each in the one before, that may go on or leave. Time to compile grows with their square.
pub(crate) fn loops(depth: usize) -> Vec<u8> {
    let ends = b"\x20\0\x0d\0\x0b".repeat(depth);
    let body = [b"\0".to_vec(), b"\x03\x40".repeat(depth), ends, b"\x20\0\x0b".to_vec()].concat();
    code(ONE_TO_ONE, 1, &body)
}

/// Components that each instantiate the one in them twice: so many instances that no memory holds them.
pub(crate) fn doubling(times_over: usize) -> Vec<u8> {
    let one = b"\0\0\0";
    let mut bytes = component(&[section(1, b"\0asm\x01\0\0\0"), section(2, &times(1, one))]);
    for _ in 0..times_over {
        bytes = component(&[section(4, &bytes), section(5, &times(2, one))]);
    }
    bytes
}

/// Components in components.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(component(&[]), |inner, _| component(&[section(4, &inner)]))
}

/// The type of a component that declares the type of a component that …
pub(crate) fn nested_types(depth: usize) -> Vec<u8> {
    component(&[section(7, &[b"\x01".to_vec(), b"\x41\x01\x01".repeat(depth), b"\x41\0".to_vec()].concat())])
}

/// A list of lists of lists of …: each type names the one before.
pub(crate) fn chained_types(length: usize) -> Vec<u8> {
    let chain: Vec<u8> = (0..length).flat_map(|number| [b"\x70".to_vec(), leb_signed(number)].concat()).collect();
    component(&[section(7, &[leb(length + 1), b"\x70\x7d".to_vec(), chain].concat())])
}

/// Pairs of pairs of pairs of …: the last type is of two to the power of `length` numbers.
pub(crate) fn doubling_types(length: usize) -> Vec<u8> {
    let pair = |number| [b"\x6f\x02".to_vec(), leb_signed(number), leb_signed(number)].concat();
    let pairs: Vec<u8> = (0..length).flat_map(pair).collect();
    component(&[section(7, &[leb(length + 1), b"\x6f\x01\x7d".to_vec(), pairs].concat())])
}

/// A number that is not negative as WebAssembly writes one that could be.
fn leb_signed(number: usize) -> Vec<u8> {
    let mut bytes = leb(number);
    let last = bytes.last_mut().expect("at least one");
    if *last & 0x40 != 0 {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}

/// A core section with as many of one item.
pub(crate) fn many(id: u8, count: usize, item: &[u8]) -> Vec<u8> {
    core(&[section(id, &times(count, item))])
}

/// A component section with as many of one item.
pub(crate) fn many_in_component(id: u8, count: usize, item: &[u8]) -> Vec<u8> {
    component(&[section(id, &times(count, item))])
}
