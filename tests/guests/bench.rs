//! The work of the benchmark: a basket of goods in, a bill out.

use bailiwick_sdk::prelude::*;
use bailiwick_sdk::serde;

/// Something to buy.
#[bailiwick_sdk::args]
struct Item {
    name: String,
    price: f64,
    count: u32,
}

#[derive(serde::Serialize)]
#[serde(crate = "bailiwick_sdk::serde")]
struct Line {
    name: String,
    total: f64,
}

#[derive(serde::Serialize)]
#[serde(crate = "bailiwick_sdk::serde")]
struct Bill {
    title: String,
    lines: Vec<Line>,
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Adds up a basket.
    #[tool(read_only)]
    fn bill(title: String, items: Vec<Item>) -> Output {
        let line = |item: Item| Line { name: item.name, total: item.price * f64::from(item.count) };
        let bill = Bill { title, lines: items.into_iter().map(line).collect() };
        Output::empty().with_structured(&bill)
    }
}
