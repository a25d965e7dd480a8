//! Tries ways out of the directory it is told, as a guest would: through the engine's own functions, with no component
//! around them. Prints one line for each, `OPERATION PATH: what came of it`.

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, HostDescriptor as _, HostDirectoryEntryStream as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::{DirPerms, FilePerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// What a path with a trailing slash, or what is read for one, leads to.
const PATHS: &[&str] = &["link", "link/", "link/.", "link//", "link/./", "sub/../link/", "up/outside/", "../outside/"];

fn main() {
    let directory = std::env::args().nth(1).expect("a directory");
    let mut wasi = WasiCtxBuilder::new();
    wasi.preopened_dir(directory, "/", DirPerms::all(), FilePerms::all()).expect("it is there");
    let mut guest = Guest { table: ResourceTable::new(), wasi: wasi.build() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (root, _) = guest.filesystem().get_directories().expect("they are listed").remove(0);
        for path in PATHS {
            println!("list {path}: {}", list(&mut guest.filesystem(), &root, path).await);
        }
    });
}

async fn list(files: &mut WasiFilesystemCtxView<'_>, root: &Resource<Descriptor>, path: &str) -> String {
    let root = Resource::new_borrow(root.rep());
    let follow = PathFlags::SYMLINK_FOLLOW;
    let opened = files.open_at(root, follow, path.to_owned(), OpenFlags::DIRECTORY, DescriptorFlags::READ).await;
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => return format!("refused: {error}"),
    };
    let listing = match files.read_directory(opened).await {
        Ok(listing) => listing,
        Err(error) => return format!("refused: {error}"),
    };
    let mut names = Vec::new();
    while let Ok(Some(entry)) = files.read_directory_entry(Resource::new_borrow(listing.rep())).await {
        names.push(entry.name);
    }
    names.sort();
    format!("escaped: {}", names.join(" "))
}
