//! Takes of the host's own resources what it can get: handles, headers, streams, requests, listings.

use std::mem::forget;

use bailiwick_guests::files;
use bailiwick_sdk::prelude::*;
use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use wasip2::io::poll::{Pollable, poll};

fn opened(directory: &str, path: &str, flags: DescriptorFlags) -> Result<Descriptor, Failure> {
    let granted = files::directory(directory).ok_or_else(|| Failure::failed("no such directory is granted"))?;
    granted
        .open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), flags)
        .map_err(|code| Failure::failed(code.name()))
}

fn request(method: &Method, authority: &str) -> OutgoingRequest {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_method(method);
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some("/"));
    request
}

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Puts so many headers of so many bytes into one set of headers.
    #[tool]
    fn headers(count: u32, bytes: usize) -> String {
        let fields = Fields::new();
        let value = vec![b'x'; bytes];
        for number in 0..count {
            if let Err(error) = fields.append(&format!("x-{number}"), &value) {
                return format!("{number} taken, then {error:?}");
            }
        }
        format!("{count} taken")
    }

    /// Makes so many things to wait for and lets go of none.
    #[tool]
    fn pollables(count: u32) -> String {
        for _ in 0..count {
            forget(monotonic_clock::subscribe_duration(u64::MAX));
        }
        format!("{count} made")
    }

    /// Waits for so many things at once, one of which has happened.
    #[tool]
    fn wait(count: u32) -> String {
        let mut all: Vec<Pollable> = (1..count).map(|_| monotonic_clock::subscribe_duration(u64::MAX)).collect();
        all.extend((count > 0).then(|| monotonic_clock::subscribe_duration(0)));
        let all: Vec<&Pollable> = all.iter().collect();
        format!("{} ready", poll(&all).len())
    }

    /// Opens a file so often and closes it never.
    #[tool]
    fn files_open(directory: String, path: String, count: u32) -> Result<String, Failure> {
        for _ in 0..count {
            forget(opened(&directory, &path, DescriptorFlags::READ)?);
        }
        Ok(format!("{count} open"))
    }

    /// Makes so many streams of one file and lets go of none.
    #[tool]
    fn streams(directory: String, path: String, count: u32) -> Result<String, Failure> {
        let file = opened(&directory, &path, DescriptorFlags::READ)?;
        for _ in 0..count {
            forget(file.read_via_stream(0).map_err(|code| Failure::failed(code.name()))?);
        }
        Ok(format!("{count} streams"))
    }

    /// Lists a directory so often and keeps every listing, or lets go of it.
    #[tool]
    fn listings(directory: String, count: u32, keep: bool) -> Result<String, Failure> {
        let granted = files::directory(&directory).ok_or_else(|| Failure::failed("no such directory is granted"))?;
        for number in 0..count {
            match granted.read_directory() {
                Ok(listing) if keep => forget(listing),
                Ok(listing) => drop(listing),
                Err(code) => return Ok(format!("{number} listings, then {}", code.name())),
            }
        }
        Ok(format!("{count} listings"))
    }

    /// Keeps so many artifacts of so many bytes.
    #[tool]
    fn artifacts(count: u32, bytes: usize) -> String {
        for number in 0..count {
            if let Err(refusal) = artifact::put(&number.to_string(), "text/plain", vec![b'x'; bytes]) {
                return format!("{number} kept, then {}", refusal.name());
            }
        }
        format!("{count} kept")
    }

    /// Begins so many requests and waits for none of them.
    #[tool]
    fn requests(authority: String, count: u32) -> Result<String, Failure> {
        for _ in 0..count {
            let request = request(&Method::Get, &authority);
            let body = request.body().map_err(|()| Failure::failed("no body"))?;
            forget(outgoing_handler::handle(request, None).map_err(|code| Failure::failed(format!("{code:?}")))?);
            forget(body);
        }
        Ok(format!("{count} begun"))
    }

    /// Sends a request whose every patience is zero.
    #[tool]
    fn impatient(authority: String) -> Result<String, Failure> {
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(0));
        let _ = options.set_first_byte_timeout(Some(0));
        let _ = options.set_between_bytes_timeout(Some(0));
        let request = request(&Method::Get, &authority);
        let answer =
            outgoing_handler::handle(request, Some(options)).map_err(|code| Failure::failed(format!("{code:?}")))?;
        answer.subscribe().block();
        Ok(match answer.get() {
            Some(Ok(Ok(response))) => format!("{} answered", response.status()),
            Some(Ok(Err(code))) => format!("{code:?}"),
            Some(Err(())) | None => "nothing".to_owned(),
        })
    }

    /// Begins to send a body, and lets go of everything before it is done; so often.
    #[tool]
    fn half_a_body(authority: String, count: u32) -> Result<String, Failure> {
        for _ in 0..count {
            let request = request(&Method::Post, &authority);
            let body = request.body().map_err(|()| Failure::failed("no body"))?;
            let answer =
                outgoing_handler::handle(request, None).map_err(|code| Failure::failed(format!("{code:?}")))?;
            {
                let stream = body.write().map_err(|()| Failure::failed("no stream"))?;
                let _ = stream.write(&[b'x'; 1 << 10]);
            }
            drop((body, answer));
        }
        Ok("let go".to_owned())
    }

    /// Reads half of an answer, and lets go of everything before it is done; so often.
    #[tool]
    fn half_an_answer(authority: String, count: u32) -> Result<String, Failure> {
        for _ in 0..count {
            let request = request(&Method::Get, &authority);
            let answer =
                outgoing_handler::handle(request, None).map_err(|code| Failure::failed(format!("{code:?}")))?;
            answer.subscribe().block();
            let Some(Ok(Ok(response))) = answer.get() else { return Ok("no answer".to_owned()) };
            let body: IncomingBody = response.consume().map_err(|()| Failure::failed("no body"))?;
            let stream = body.stream().map_err(|()| Failure::failed("no stream"))?;
            let _ = stream.blocking_read(1);
        }
        Ok("let go".to_owned())
    }

    /// Begins to write to a file and lets go of the stream before it is done; so often.
    #[tool]
    fn half_a_write(directory: String, path: String, count: u32) -> Result<String, Failure> {
        for _ in 0..count {
            let file = opened(&directory, &path, DescriptorFlags::WRITE)?;
            let stream = file.write_via_stream(0).map_err(|code| Failure::failed(code.name()))?;
            if stream.check_write().is_ok() {
                let _ = stream.write(&[b'x'; 32 << 10]);
            }
        }
        Ok("let go".to_owned())
    }

    /// Writes so many zeros to standard output at once, whether or not there is room.
    #[tool]
    fn zeros(count: u64, ask_first: bool) -> String {
        let out = wasip2::cli::stdout::get_stdout();
        if ask_first {
            let _ = out.check_write();
        }
        match out.write_zeroes(count) {
            Ok(()) => "written".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    /// Lets go of a body without finishing it: `finish` was never called.
    #[tool]
    fn unfinished(authority: String) -> Result<String, Failure> {
        let request = request(&Method::Post, &authority);
        let body = request.body().map_err(|()| Failure::failed("no body"))?;
        let answer = outgoing_handler::handle(request, None).map_err(|code| Failure::failed(format!("{code:?}")))?;
        drop(body);
        answer.subscribe().block();
        let told = match answer.get() {
            Some(Ok(Ok(response))) => format!("{} answered", response.status()),
            Some(Ok(Err(code))) => format!("{code:?}"),
            Some(Err(())) | None => "nothing".to_owned(),
        };
        let request = super::request(&Method::Post, &authority);
        let finished = request.body().map_err(|()| Failure::failed("no body"))?;
        let again = outgoing_handler::handle(request, None).map_err(|code| Failure::failed(format!("{code:?}")))?;
        OutgoingBody::finish(finished, None).map_err(|code| Failure::failed(format!("{code:?}")))?;
        again.subscribe().block();
        Ok(told)
    }
}
