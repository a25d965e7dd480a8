//! One function becomes one tool: its definition, the struct of its arguments, the arm that calls it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, LitStr, Meta, Pat, PatType, PathArguments, Result, Type,
};

/// A function marked `#[tool]`.
pub(crate) struct Tool {
    /// What callers call it.
    pub(crate) name: String,
    function: Ident,
    description: String,
    options: Options,
    parameters: Parameters,
    /// The `#[cfg]`s of the function, repeated on all that is made of it.
    conditions: Vec<Attribute>,
}

enum Parameters {
    /// Each becomes a field of a struct made here.
    Fields(Vec<Field>),
    /// One `Args<T>`.
    Whole(Box<Type>),
}

struct Field {
    attributes: Vec<Attribute>,
    name: Ident,
    kind: Type,
}

/// What stands between the parentheses of `#[tool(…)]`.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    title: Option<LitStr>,
    description: Option<LitStr>,
    rename_all: Option<LitStr>,
    risk: Option<Ident>,
    output: Option<Type>,
    input_schema: Option<Expr>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
    open_world: Option<bool>,
}

/// The derives of a type that is read from arguments, with paths that need no dependency but the SDK.
pub(crate) fn derives() -> TokenStream {
    quote! {
        #[derive(::bailiwick_sdk::serde::Deserialize, ::bailiwick_sdk::schemars::JsonSchema)]
        #[serde(crate = "::bailiwick_sdk::serde", deny_unknown_fields)]
        #[schemars(crate = "::bailiwick_sdk::schemars")]
    }
}

/// Whether this is the attribute `name`, however its path is written.
pub(crate) fn is(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

impl Tool {
    /// Reads a function and takes off what is not for the compiler; none: it is not marked.
    pub(crate) fn take(function: &mut ItemFn) -> Result<Option<Self>> {
        let Some(at) = function.attrs.iter().position(|attribute| is(attribute, "tool")) else { return Ok(None) };
        let options = Options::read(&function.attrs.remove(at))?;
        if let Some(keyword) = &function.sig.asyncness {
            return Err(Error::new_spanned(keyword, "a tool is not `async`: a plugin runs one call at a time"));
        }
        let ident = function.sig.ident.clone();
        let name = match &options.name {
            Some(name) => valid_name(&name.value(), name.span(), "tool")?,
            None => valid_name(&unraw(&ident), ident.span(), "tool")?,
        };
        let description = match &options.description {
            Some(description) => description.value(),
            None => doc_text(&function.attrs),
        };
        if description.trim().is_empty() {
            let message =
                "a tool needs a description: write a doc comment that tells a model what it does and when to use it";
            return Err(Error::new(ident.span(), message));
        }
        let conditions = function.attrs.iter().filter(|attribute| is(attribute, "cfg")).cloned().collect();
        let parameters = Parameters::take(function)?;
        Ok(Some(Self { name, function: ident, description, options, parameters, conditions }))
    }

    /// The struct of the arguments.
    pub(crate) fn arguments(&self) -> TokenStream {
        let Parameters::Fields(fields) = &self.parameters else { return TokenStream::new() };
        let Self { conditions, .. } = self;
        let arguments = self.arguments_ident();
        let derives = derives();
        let rename_all = self.options.rename_all.as_ref().map(|style| quote!(#[serde(rename_all = #style)]));
        let fields = fields.iter().map(|Field { attributes, name, kind }| quote!(#(#attributes)* #name: #kind));
        quote! {
            #(#conditions)*
            #derives
            #rename_all
            #[serde(expecting = "a JSON object with the arguments")]
            struct #arguments {
                #(#fields,)*
            }
        }
    }

    /// The `Definition`, as an expression.
    pub(crate) fn definition(&self) -> TokenStream {
        let Self { name, description, options, conditions, .. } = self;
        let arguments = self.arguments_type();
        let title = option(options.title.as_ref().map(|title| quote!(::std::string::String::from(#title))));
        let output = options.output.as_ref();
        let output = option(output.map(|output| quote!(::bailiwick_sdk::__private::output_schema::<#output>())));
        let [read_only, destructive, idempotent, open_world] =
            [options.read_only, options.destructive, options.idempotent, options.open_world]
                .map(|hint| option(hint.map(|hint| quote!(#hint))));
        let risk = options.risk();
        let input_schema = match &options.input_schema {
            Some(schema) => quote!(::std::string::String::from(#schema)),
            None => quote!(::bailiwick_sdk::__private::input_schema::<#arguments>()),
        };
        quote! {
            #(#conditions)*
            ::bailiwick_sdk::Definition {
                name: ::std::string::String::from(#name),
                title: #title,
                description: ::std::string::String::from(#description),
                input_schema: #input_schema,
                output_schema: #output,
                annotations: ::bailiwick_sdk::Annotations {
                    read_only: #read_only,
                    destructive: #destructive,
                    idempotent: #idempotent,
                    open_world: #open_world,
                },
                risk: ::bailiwick_sdk::Risk::#risk,
            }
        }
    }

    /// The arm of the `match` on the tool's name.
    pub(crate) fn call(&self) -> TokenStream {
        let Self { name, function, conditions, .. } = self;
        let arguments = self.arguments_type();
        let values = match &self.parameters {
            Parameters::Fields(fields) => {
                let names = fields.iter().map(|field| &field.name);
                quote!(#(__arguments.#names),*)
            }
            Parameters::Whole(_) => quote!(::bailiwick_sdk::Args(__arguments)),
        };
        // With no fields the value is read, to refuse what should not be there, and not used.
        quote! {
            #(#conditions)*
            #name => {
                let __arguments = ::bailiwick_sdk::__private::arguments::<#arguments>(&__arguments)?;
                let _ = &__arguments;
                ::bailiwick_sdk::IntoAnswer::into_answer(#function(#values))
            }
        }
    }

    fn arguments_type(&self) -> TokenStream {
        match &self.parameters {
            Parameters::Fields(_) => {
                let ident = self.arguments_ident();
                quote!(#ident)
            }
            Parameters::Whole(kind) => quote!(#kind),
        }
    }

    fn arguments_ident(&self) -> Ident {
        let camel: String = unraw(&self.function).split('_').map(capitalized).collect();
        format_ident!("__{camel}Arguments", span = Span::call_site())
    }
}

impl Options {
    fn read(attribute: &Attribute) -> Result<Self> {
        let mut options = Self::default();
        if !matches!(attribute.meta, Meta::Path(_)) {
            attribute.parse_nested_meta(|meta| options.read_one(&meta))?;
        }
        Ok(options)
    }

    fn read_one(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        let Some(key) = meta.path.get_ident() else { return Err(meta.error(UNKNOWN)) };
        match key.to_string().as_str() {
            "name" => self.name = Some(meta.value()?.parse()?),
            "title" => self.title = Some(meta.value()?.parse()?),
            "description" => self.description = Some(meta.value()?.parse()?),
            "rename_all" => self.rename_all = Some(meta.value()?.parse()?),
            "risk" => self.risk = Some(read_risk(&meta.value()?.parse()?)?),
            "output" => self.output = Some(meta.value()?.parse()?),
            "input_schema" => self.input_schema = Some(meta.value()?.parse()?),
            "read_only" => self.read_only = Some(true),
            "destructive" => self.destructive = Some(true),
            "not_destructive" => self.destructive = Some(false),
            "idempotent" => self.idempotent = Some(true),
            "open_world" => self.open_world = Some(true),
            "closed_world" => self.open_world = Some(false),
            _ => return Err(meta.error(UNKNOWN)),
        }
        Ok(())
    }

    fn risk(&self) -> Ident {
        let by_hints = if self.read_only == Some(true) {
            "Low"
        } else if self.destructive == Some(true) {
            "High"
        } else {
            "Medium"
        };
        self.risk.clone().unwrap_or_else(|| Ident::new(by_hints, Span::call_site()))
    }
}

const UNKNOWN: &str = "expected one of `name`, `title`, `description`, `rename_all`, `risk`, `output`, `input_schema`, \
                       `read_only`, `destructive`, `not_destructive`, `idempotent`, `open_world`, `closed_world`";

impl Parameters {
    fn take(function: &mut ItemFn) -> Result<Self> {
        if let Some(kind) = whole(function) {
            return Ok(Self::Whole(Box::new(kind)));
        }
        let fields = function.sig.inputs.iter_mut().map(|input| match input {
            FnArg::Typed(parameter) => Field::take(parameter),
            FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "a tool is a function without `self`")),
        });
        Ok(Self::Fields(fields.collect::<Result<_>>()?))
    }
}

impl Field {
    fn take(parameter: &mut PatType) -> Result<Self> {
        let Pat::Ident(pattern) = &*parameter.pat else {
            return Err(Error::new_spanned(&parameter.pat, "a tool's parameter is a plain name"));
        };
        if let Type::Reference(reference) = &*parameter.ty {
            return Err(Error::new_spanned(reference, "a tool's parameters are owned: `String`, not `&str`"));
        }
        let name = pattern.ident.clone();
        let of_field = |attribute: &Attribute| ["doc", "serde", "schemars"].iter().any(|name| is(attribute, name));
        let (attributes, kept) = parameter.attrs.drain(..).partition(of_field);
        parameter.attrs = kept;
        Ok(Self { attributes, name, kind: (*parameter.ty).clone() })
    }
}

/// The `T` of a single parameter of type `Args<T>`.
fn whole(function: &ItemFn) -> Option<Type> {
    let mut inputs = function.sig.inputs.iter();
    let (Some(FnArg::Typed(parameter)), None) = (inputs.next(), inputs.next()) else { return None };
    let Type::Path(path) = &*parameter.ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Args")?;
    let PathArguments::AngleBracketed(generics) = &segment.arguments else { return None };
    let syn::GenericArgument::Type(kind) = generics.args.first()? else { return None };
    Some(kind.clone())
}

fn read_risk(risk: &LitStr) -> Result<Ident> {
    let variant = match risk.value().as_str() {
        "low" => "Low",
        "medium" => "Medium",
        "high" => "High",
        _ => return Err(Error::new(risk.span(), "expected `low`, `medium` or `high`")),
    };
    Ok(Ident::new(variant, risk.span()))
}

pub(crate) fn valid_name(name: &str, span: Span, what: &str) -> Result<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(name.to_owned());
    }
    Err(Error::new(span, format!("a {what}'s name is 1 to 64 of `A-Z a-z 0-9 _ -`")))
}

/// The text of the doc comment, without the space that follows `///`.
pub(crate) fn doc_text(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &meta.value else { return None };
        meta.path.is_ident("doc").then(|| line.value())
    });
    let lines: Vec<String> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

pub(crate) fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

pub(crate) fn unraw(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
