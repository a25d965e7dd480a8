//! The attribute macros of `bailiwick-sdk`, which re-exports them; depend on that crate, not on this one.
//!
//! `plugin.rs` turns a module into the exports of a component, `tool.rs` reads one function, `context.rs` those that are
//! prompts and resources.

mod context;
mod plugin;
mod tool;

use proc_macro::TokenStream;
use quote::quote;

/// Makes a module a plugin: every function in it marked `#[tool]` is a tool.
///
/// At most one function may be marked `#[check]`: it says why the plugin cannot do its work as it is configured, or
/// `None`. A component has one plugin, so a crate has one such module.
///
/// ```ignore
/// use bailiwick_sdk::prelude::*;
///
/// #[bailiwick_sdk::plugin]
/// mod tools {
///     use super::*;
///
///     /// Says hello.
///     #[tool(read_only)]
///     fn hello(
///         /// Who to greet.
///         name: String,
///     ) -> String {
///         format!("Hello, {name}!")
///     }
///
///     #[check]
///     fn ready() -> Option<String> {
///         None
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn plugin(options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded =
        no_options(&options, "plugin").and_then(|()| syn::parse::<syn::ItemMod>(item)).and_then(plugin::expand);
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Marks a function in a `#[plugin]` module as a tool.
///
/// The doc comment is the description. The parameters are the arguments: owned types that are `Deserialize` and
/// `JsonSchema` (see [`args`](macro@args) for types of your own), each with its own doc comment, `#[serde(…)]` and
/// `#[schemars(…)]`. An `Option` may be left out by the caller. A single parameter of type `Args<T>` takes all arguments
/// as one `T`.
///
/// The function returns a `T: IntoOutput`, or a `Result` of one whose error is `Into<Failure>`.
///
/// Options, all of them optional:
///
/// | option | meaning |
/// |---|---|
/// | `name = "…"` | 1 to 64 of `A-Z a-z 0-9 _ -`; else the function's name |
/// | `title = "…"` | a name for people |
/// | `description = "…"` | instead of the doc comment |
/// | `read_only` | changes nothing |
/// | `destructive`, `not_destructive` | what it changes may (not) be lost |
/// | `idempotent` | calling twice changes no more than calling once |
/// | `open_world`, `closed_world` | deals (only) with things outside (inside) the host's machine |
/// | `risk = "low"`, `"medium"`, `"high"` | else low when `read_only`, high when `destructive`, medium otherwise |
/// | `output = Type` | the output schema is that of `Type: JsonSchema` |
/// | `input_schema = TEXT` | JSON Schema instead of the one made of the parameters, usually with one `Args<Value>` |
/// | `rename_all = "camelCase"` | how callers spell the parameters |
#[proc_macro_attribute]
pub fn tool(_options: TokenStream, _item: TokenStream) -> TokenStream {
    outside("tool")
}

/// Marks the function in a `#[plugin]` module that says why the plugin cannot do its work as it is configured.
///
/// It takes nothing and returns `Option<String>`: one sentence for an operator, or `None`. It runs with the plugin's
/// configuration and the names of its secrets, without network and directories.
#[proc_macro_attribute]
pub fn check(_options: TokenStream, _item: TokenStream) -> TokenStream {
    outside("check")
}

/// Marks a function in a `#[plugin]` module as a prompt: a text with blanks that a person picks.
///
/// The doc comment is the description. The parameters are its arguments, `String` or, where one may be left out,
/// `Option<String>`, each with its own doc comment. The function returns a `T: IntoConversation` (a text is one message of
/// the person's), or a `Result` of one whose error is `Into<Failure>`. Options: `name`, `title`, `description`.
#[proc_macro_attribute]
pub fn prompt(_options: TokenStream, _item: TokenStream) -> TokenStream {
    outside("prompt")
}

/// Marks a function in a `#[plugin]` module as a resource with `uri = "…"`, or as a family of them with
/// `template = "…{place}…"`.
///
/// The doc comment is the description. The parameters are the places of the template, in any order, as they stand in the
/// URI. The function returns a `T: IntoContents` (text or bytes), or a `Result` of one whose error is `Into<Failure>`.
/// Further options: `name` (else the function's), `title`, `description`, `mime_type`, `size` (in bytes; with `uri`).
#[proc_macro_attribute]
pub fn resource(_options: TokenStream, _item: TokenStream) -> TokenStream {
    outside("resource")
}

/// Marks the function in a `#[plugin]` module that suggests values for arguments of prompts and places of templates:
/// `fn name(subject: Subject, argument: String, value: String, known: Vec<(String, String)>)`, which returns the values
/// that begin as `value` does, best first.
#[proc_macro_attribute]
pub fn complete(_options: TokenStream, _item: TokenStream) -> TokenStream {
    outside("complete")
}

/// Makes a struct or an enum usable in a tool's arguments: derives `Deserialize` and `JsonSchema` and refuses unknown
/// fields.
///
/// ```ignore
/// /// What to sort by.
/// #[bailiwick_sdk::args]
/// #[serde(rename_all = "kebab-case")]
/// enum Order {
///     Name,
///     LastChange,
/// }
/// ```
#[proc_macro_attribute]
pub fn args(options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = no_options(&options, "args").and_then(|()| syn::parse::<syn::DeriveInput>(item)).map(|item| {
        let derives = tool::derives();
        quote!(#derives #item)
    });
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct or an enum usable as a result: derives `Serialize` (for `Json` and `Output::with_structured`) and
/// `JsonSchema` (for `#[tool(output = Type)]`).
///
/// ```ignore
/// #[bailiwick_sdk::output]
/// struct Sum {
///     /// The sum of all the numbers.
///     total: f64,
/// }
/// ```
#[proc_macro_attribute]
pub fn output(options: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = no_options(&options, "output").and_then(|()| syn::parse::<syn::DeriveInput>(item)).map(|item| {
        quote! {
            #[derive(::bailiwick_sdk::serde::Serialize, ::bailiwick_sdk::schemars::JsonSchema)]
            #[serde(crate = "::bailiwick_sdk::serde")]
            #[schemars(crate = "::bailiwick_sdk::schemars")]
            #item
        }
    });
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

fn no_options(options: &TokenStream, macro_name: &str) -> syn::Result<()> {
    if options.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(proc_macro2::Span::call_site(), format!("`#[{macro_name}]` takes no options")))
}

fn outside(macro_name: &str) -> TokenStream {
    let message = format!("`#[{macro_name}]` belongs on a function inside a module marked `#[bailiwick_sdk::plugin]`");
    quote!(::core::compile_error!(#message);).into()
}
