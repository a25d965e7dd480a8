//! Reaching for what may not be granted, without the manners of an SDK where they would be in the way.

use std::io::{self, ErrorKind};

use bailiwick_sdk::Failure;
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};

/// `denied` where the host said no, or where the path is in none of the granted directories; else what went wrong.
pub(crate) fn refused(error: &io::Error, denied: Failure, path: &str) -> Failure {
    // 76 is ENOTCAPABLE. To a C library, what is nowhere does not exist.
    let is_refusal = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
        || error.raw_os_error() == Some(76);
    let directories = preopens::get_directories();
    let is_somewhere = directories.iter().any(|(_, directory)| std::path::Path::new(path).starts_with(directory));
    if is_refusal || !is_somewhere { denied } else { Failure::failed(error.to_string()) }
}

pub(crate) fn through_a_link(directory: &str, target: &str, name: &str, file: &str) -> Result<String, Failure> {
    let granted = preopens::get_directories().into_iter().find(|(_, path)| path == directory);
    let (granted, _) = granted.ok_or_else(|| Failure::failed("No such directory is granted."))?;
    let path = format!("{name}/{file}");
    let denied = || Failure::denied_read(format!("{directory}/{path}"));
    granted.symlink_at(target, name).map_err(|_| denied())?;
    let opened = granted.open_at(PathFlags::SYMLINK_FOLLOW, &path, OpenFlags::empty(), DescriptorFlags::READ);
    let (bytes, _) = opened.map_err(|_| denied())?.read(1 << 10, 0).map_err(|_| denied())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn raw(authority: &str) -> Result<String, Failure> {
    let unfit = |()| Failure::invalid("WASI does not take this authority");
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).map_err(unfit)?;
    request.set_authority(Some(authority)).map_err(unfit)?;
    request.set_path_with_query(Some("/")).map_err(unfit)?;
    let body = request.body().map_err(unfit)?;
    let told = |code: ErrorCode| match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited | ErrorCode::HttpRequestUriInvalid => {
            Failure::denied_request("GET", format!("http://{authority}/"))
        }
        other => Failure::upstream(format!("{other:?}"), None),
    };
    let answer = outgoing_handler::handle(request, None).map_err(told)?;
    OutgoingBody::finish(body, None).map_err(told)?;
    answer.subscribe().block();
    match answer.get() {
        Some(Ok(Ok(response))) => Ok(format!("status {}", response.status())),
        Some(Ok(Err(code))) => Err(told(code)),
        Some(Err(())) | None => Err(Failure::failed("There is no answer.")),
    }
}

pub(crate) fn socket() -> String {
    let network = wasip2::sockets::instance_network::instance_network();
    let lookup = match wasip2::sockets::ip_name_lookup::resolve_addresses(&network, "localhost") {
        Err(code) => code.name().to_owned(),
        Ok(stream) => {
            stream.subscribe().block();
            match stream.resolve_next_address() {
                Ok(found) => format!("{found:?}"),
                Err(code) => code.name().to_owned(),
            }
        }
    };
    let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 80, address: (127, 0, 0, 1) });
    let connect = match wasip2::sockets::tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
        Err(code) => code.name().to_owned(),
        Ok(socket) => {
            let started = socket.start_connect(&network, address);
            started.map_or_else(|code| code.name().to_owned(), |()| "connecting".to_owned())
        }
    };
    format!("look-up: {lookup}, connect: {connect}")
}
