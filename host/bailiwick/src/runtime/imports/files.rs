//! `wasi:filesystem/types`, where the engine's own answer would let a guest hold up or fill up the host. The engine still
//! decides what a guest may open; what is here only refuses more:
//!
//! - Devices, pipes and sockets are not opened. Opening a pipe waits for its other end, on a thread that nobody can call
//!   back. Should one slip in between looking and opening, that costs its own plugin a thread, and no other ([`lanes`]).
//! - Listing a directory puts all of it into the host's memory. A call has a budget for that.

use std::collections::HashMap;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult, ReaddirIterator};

use bailiwick_core::name::PluginName;

use crate::runtime::state::State;
use crate::{ambient, lanes};

/// The interface, under the name the engine gives it.
const TYPES: &str = "wasi:filesystem/types@0.2.12";
/// Entries of directories a call may hold at once; one takes the host about a hundred bytes.
const MOST_ENTRIES: usize = 200_000;

/// How many entries each open listing of a call holds, by its handle.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Listings(HashMap<u32, usize>);

impl Listings {
    fn room(&self) -> usize {
        MOST_ENTRIES.saturating_sub(self.0.values().sum())
    }
}

/// Takes the place of the engine's functions that open or list.
///
/// # Errors
/// When the engine's interface has another shape.
pub(super) fn replace(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async("[method]descriptor.open-at", |store: StoreContextMut<'_, State>, asked: Open| {
        Box::new(async move { answer(open_at(store, asked).await) })
    })?;
    types.func_wrap_async(
        "[method]descriptor.set-times-at",
        |store: StoreContextMut<'_, State>, asked: SetTimes| {
            Box::new(async move { answer(set_times_at(store, asked).await) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |store: StoreContextMut<'_, State>, (directory,): (Resource<Descriptor>,)| {
            Box::new(async move { answer(read_directory(store, directory).await) })
        },
    )?;
    let listing = ResourceType::host::<ReaddirIterator>();
    types.resource("directory-entry-stream", listing, |mut store, rep| {
        let state = store.data_mut();
        state.listings.0.remove(&rep);
        state.table.delete(Resource::<ReaddirIterator>::new_own(rep))?;
        Ok(())
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

type Open = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
type SetTimes = (Resource<Descriptor>, PathFlags, String, NewTimestamp, NewTimestamp);

/// An error the guest is told, or one that ends it.
fn answer<T>(result: FsResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => error.downcast().map(|code| (Err(code),)),
    }
}

async fn open_at(mut store: StoreContextMut<'_, State>, asked: Open) -> FsResult<Resource<Descriptor>> {
    let (directory, path_flags, path, open_flags, flags) = asked;
    let state = store.data_mut();
    let directory = directory_of(state, &directory)?;
    let opened = aside(state.call.plugin.clone(), directory, move |mut aside| {
        aside.refuse_special(path_flags, &path)?;
        aside.open(path_flags, path, open_flags, flags)
    });
    let opened = opened.await?;
    Ok(state.table.push(opened)?)
}

async fn set_times_at(mut store: StoreContextMut<'_, State>, asked: SetTimes) -> FsResult<()> {
    let (directory, path_flags, path, accessed, modified) = asked;
    let state = store.data_mut();
    let directory = directory_of(state, &directory)?;
    let set = aside(state.call.plugin.clone(), directory, move |mut aside| {
        // The engine opens what it sets the times of.
        aside.refuse_special(path_flags, &path)?;
        aside.set_times(path_flags, path, accessed, modified)
    });
    set.await
}

async fn read_directory(
    mut store: StoreContextMut<'_, State>,
    directory: Resource<Descriptor>,
) -> FsResult<Resource<ReaddirIterator>> {
    let state = store.data_mut();
    let opened = directory_of(state, &directory)?;
    let room = state.listings.room();
    let n_entries =
        aside(state.call.plugin.clone(), opened, move |aside| Ok(ambient::count_entries(&aside.directory, room)?))
            .await?;
    let n_entries = n_entries.ok_or(ErrorCode::InsufficientMemory)?;
    let mut files = WasiFilesystemCtxView { ctx: &mut WasiFilesystemCtx::default(), table: &mut state.table };
    let listing = HostDescriptor::read_directory(&mut files, directory).await?;
    state.listings.0.insert(listing.rep(), n_entries);
    Ok(listing)
}

fn directory_of(state: &State, directory: &Resource<Descriptor>) -> FsResult<Dir> {
    match state.table.get(directory)? {
        Descriptor::Dir(directory) => Ok(directory.clone()),
        Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
    }
}

/// Does `work` in the plugin's lane.
async fn aside<T: Send + 'static>(
    plugin: PluginName,
    directory: Dir,
    work: impl FnOnce(Aside) -> FsResult<T> + Send + 'static,
) -> FsResult<T> {
    lanes::run(&plugin, move || work(Aside::new(&directory)?)).await?
}

/// The engine's own functions, on a thread where they may block, with a table that holds one directory.
struct Aside {
    directory: std::sync::Arc<std::fs::File>,
    handle: u32,
    table: ResourceTable,
    files: WasiFilesystemCtx,
}

impl Aside {
    fn new(directory: &Dir) -> FsResult<Self> {
        let file = directory.dir.try_clone()?;
        let mut table = ResourceTable::new();
        // Here it may block: whoever asks the engine for an answer has it when the engine returns.
        let blocking = Dir::new(file, directory.perms, directory.open_mode, true);
        let directory = std::sync::Arc::clone(&blocking.dir);
        let handle = table.push(Descriptor::Dir(blocking))?.rep();
        Ok(Self { directory, handle, table, files: WasiFilesystemCtx::default() })
    }

    fn ask<T>(&mut self, question: impl AsyncFnOnce(WasiFilesystemCtxView<'_>, Resource<Descriptor>) -> T) -> T {
        let files = WasiFilesystemCtxView { ctx: &mut self.files, table: &mut self.table };
        futures::executor::block_on(question(files, Resource::new_borrow(self.handle)))
    }

    /// Refuses what is there and neither a file nor a directory, nor a link that is not followed.
    fn refuse_special(&mut self, path_flags: PathFlags, path: &str) -> FsResult<()> {
        let path = path.to_owned();
        let found = self.ask(async move |mut files, at| files.stat_at(at, path_flags, path).await);
        match found {
            Ok(found) if is_special(found.type_) => Err(ErrorCode::Unsupported.into()),
            // Whatever is wrong with the path, the engine will say it.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn open(
        &mut self,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Descriptor> {
        let opened = self.ask(async move |mut files, at| {
            let opened = files.open_at(at, path_flags, path, open_flags, flags).await?;
            let kind = files.get_type(Resource::new_borrow(opened.rep())).await?;
            Ok::<_, FsError>((opened, kind))
        });
        let (opened, kind) = opened?;
        let opened = self.table.delete(opened)?;
        if is_special(kind) { Err(ErrorCode::Unsupported.into()) } else { Ok(opened) }
    }

    fn set_times(
        &mut self,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.ask(async move |mut files, at| files.set_times_at(at, path_flags, path, accessed, modified).await)
    }
}

fn is_special(kind: DescriptorType) -> bool {
    match kind {
        DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink => false,
        DescriptorType::Unknown
        | DescriptorType::BlockDevice
        | DescriptorType::CharacterDevice
        | DescriptorType::Fifo
        | DescriptorType::Socket => true,
    }
}
