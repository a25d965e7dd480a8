//! What the bridge costs: one server, spoken to directly, and the same one as a plugin of the program, with one client for
//! both.

use std::process::Command;

use crate::report::{Report, median, quantile, ratio};
use crate::stdio::Server;
use crate::world::World;

const ROUNDS: usize = 20;

pub(crate) fn run(report: &mut Report) {
    let world = World::new();
    let config = world.path().join("bailiwick.toml");
    let echo = env!("CARGO_BIN_EXE_bare-echo");
    let text =
        world.toml(&format!("[plugins.echo]\nmcp = {{ command = [{echo:?}] }}\nlimits = {{ concurrency = 64 }}\n"), "");
    std::fs::write(&config, text).expect("a file can be written");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_bailiwick-bench"));
    serve.args(["serve", "--stdio", "--config"]).arg(&config);
    let mut through = Server::start(serve);
    let mut direct = Server::start(Command::new(echo));
    let (mut through_times, mut direct_times, mut through_rates, mut direct_rates) = (vec![], vec![], vec![], vec![]);
    let (mut through_calls, mut direct_calls) = (vec![], vec![]);
    for round in 0..ROUNDS + 2 {
        let (ours, theirs) = (through.one_by_one(), direct.one_by_one());
        let (our_rate, their_rate) = (through.in_flight(), direct.in_flight());
        if round >= 2 {
            through_times.push(median(&ours));
            direct_times.push(median(&theirs));
            through_calls.extend(ours);
            direct_calls.extend(theirs);
            through_rates.push(our_rate);
            direct_rates.push(their_rate);
        }
    }
    report.plain("a call of a server through the bridge: median", median(&through_calls), "µs");
    report.plain("a call of a server through the bridge: 99th percentile", quantile(&through_calls, 0.99), "µs");
    report.plain("the same server directly: median", median(&direct_calls), "µs");
    report.plain("the same server directly: 99th percentile", quantile(&direct_calls, 0.99), "µs");
    report.plain("the bridge costs a call", median(&through_calls) - median(&direct_calls), "µs");
    report.plain("a call through the bridge / directly", ratio(&through_times, &direct_times), "");
    report.plain(
        "64 in flight: calls a second through the bridge / directly",
        ratio(&through_rates, &direct_rates),
        "",
    );
}
