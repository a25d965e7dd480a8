//! What Bailiwick costs: `just bench`, or `just bench call load` for some sections.
//!
//! Machines differ and their hours do too, so what counts is ratios within one run: variants take turns, a batch each,
//! and the medians over the rounds are taken. `--plot FILE` draws the ratios against their gates.
#![expect(clippy::disallowed_methods, reason = "a bench sets up its own world")]
#![expect(clippy::print_stdout, reason = "its figures are its result")]

mod bridge;
mod call;
mod code;
mod front;
mod gate;
mod http;
mod load;
mod neighbours;
mod plugins;
mod report;
mod service;
mod stdio;
mod world;

use report::Report;

const SECTIONS: [&str; 11] =
    ["call", "gate", "load", "neighbours", "plugins", "http", "stdio", "front", "bridge", "service", "code"];

fn main() {
    // As the program does.
    bailiwick::ambient::give_memory_back();
    bailiwick::runtime::executor().build().expect("there are threads").block_on(measure());
}

async fn measure() {
    // Cargo says `--bench`; `call::alone` has words of its own.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench").peekable();
    let (mut wanted, mut plot, mut only) = (Vec::new(), None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--plot" => plot = words.next(),
            "--only" => only = words.next(),
            name if SECTIONS.contains(&name) => wanted.push(name.to_owned()),
            other => panic!("`{other}` is no section; there are {SECTIONS:?}, `--plot FILE` and `--only VARIANT`"),
        }
    }
    if let Some(variant) = only {
        return call::alone(&variant).await;
    }
    let mut report = Report::default();
    for section in SECTIONS.iter().filter(|section| wanted.is_empty() || wanted.iter().any(|name| name == *section)) {
        println!("\n== {section}");
        match *section {
            "call" => call::run(&mut report).await,
            "gate" => gate::run(&mut report).await,
            "load" => load::run(&mut report).await,
            "neighbours" => neighbours::run(&mut report).await,
            "plugins" => plugins::run(&mut report).await,
            "http" => http::run(&mut report).await,
            "stdio" => stdio::run(&mut report),
            "front" => front::run(&mut report),
            "bridge" => bridge::run(&mut report),
            "service" => service::run(&mut report).await,
            _ => code::run(&mut report).await,
        }
    }
    report.end(plot.as_deref());
}
