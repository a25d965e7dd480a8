//! Functions that become prompts, resources and completions: the `context` export, where a plugin has any.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Error, FnArg, Ident, Item, ItemFn, LitInt, LitStr, Meta, Pat, PatType, PathArguments, Result, Type,
};

use crate::tool::{doc_text, is, option, unraw, valid_name};

/// The marked functions of a module, their marks taken off.
#[derive(Default)]
pub(crate) struct Context {
    prompts: Vec<Prompt>,
    resources: Vec<Resource>,
    complete: Option<Ident>,
}

struct Prompt {
    name: String,
    function: Ident,
    title: Option<LitStr>,
    description: String,
    arguments: Vec<Argument>,
}

struct Argument {
    name: String,
    description: String,
    required: bool,
}

struct Resource {
    function: Ident,
    place: Place,
    name: String,
    title: Option<LitStr>,
    description: String,
    mime_type: Option<LitStr>,
    size: Option<LitInt>,
    /// The place of the template that each parameter takes.
    places: Vec<usize>,
}

enum Place {
    Uri(LitStr),
    Template(LitStr),
}

/// What stands between the parentheses of `#[prompt(…)]` and `#[resource(…)]`.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    title: Option<LitStr>,
    description: Option<LitStr>,
    uri: Option<LitStr>,
    template: Option<LitStr>,
    mime_type: Option<LitStr>,
    size: Option<LitInt>,
}

impl Context {
    pub(crate) fn take(items: &mut [Item]) -> Result<Self> {
        let mut context = Self::default();
        for item in items {
            let Item::Fn(function) = item else { continue };
            context.take_complete(function)?;
            if let Some(options) = Options::take(function, "prompt")? {
                let prompt = Prompt::of(function, options)?;
                if context.prompts.iter().any(|other| other.name == prompt.name) {
                    let message = format!("this plugin already has a prompt `{}`", prompt.name);
                    return Err(Error::new_spanned(&function.sig.ident, message));
                }
                context.prompts.push(prompt);
            }
            if let Some(options) = Options::take(function, "resource")? {
                context.resources.push(Resource::of(function, options)?);
            }
        }
        Ok(context)
    }

    fn take_complete(&mut self, function: &mut ItemFn) -> Result<()> {
        let n_before = function.attrs.len();
        function.attrs.retain(|attribute| !is(attribute, "complete"));
        if function.attrs.len() == n_before {
            return Ok(());
        }
        if function.sig.inputs.len() != 4 || function.sig.asyncness.is_some() {
            let message = "a `#[complete]` is `fn name(subject: Subject, argument: String, value: String, \
                           known: Vec<(String, String)>) -> Vec<String>`";
            return Err(Error::new_spanned(&function.sig, message));
        }
        if self.complete.replace(function.sig.ident.clone()).is_some() {
            return Err(Error::new_spanned(&function.sig.ident, "a plugin has at most one `#[complete]`"));
        }
        Ok(())
    }

    /// Whether nothing is marked.
    pub(crate) fn is_empty(&self) -> bool {
        self.prompts.is_empty() && self.resources.is_empty() && self.complete.is_none()
    }

    /// What the export calls; nothing where there is nothing to give.
    #[expect(clippy::too_many_lines, reason = "it is one export, quoted")]
    pub(crate) fn exports(&self) -> TokenStream {
        if self.is_empty() {
            return TokenStream::new();
        }
        let prompts = self.prompts.iter().map(Prompt::definition);
        let is_template = |resource: &&Resource| matches!(resource.place, Place::Template(_));
        let resources = self.resources.iter().filter(|resource| !is_template(resource)).map(Resource::definition);
        let templates = self.resources.iter().filter(is_template).map(Resource::definition);
        let gets = self.prompts.iter().map(Prompt::get);
        let reads = self.resources.iter().map(Resource::read);
        let complete = match &self.complete {
            Some(function) => quote! {
                ::bailiwick_sdk::context::IntoCompletion::into_completion(#function(__subject, __argument, __value, __known))
            },
            None => quote! {
                ::bailiwick_sdk::context::IntoCompletion::into_completion(
                    ::std::vec::Vec::<::std::string::String>::new(),
                )
            },
        };
        quote! {
            impl ::bailiwick_sdk::__private::ContextGuest for __Plugin {
                fn describe() -> ::bailiwick_sdk::context::Catalogue {
                    ::bailiwick_sdk::context::Catalogue {
                        prompts: ::std::vec::Vec::from([#(#prompts),*]),
                        resources: ::std::vec::Vec::from([#(#resources),*]),
                        templates: ::std::vec::Vec::from([#(#templates),*]),
                    }
                }

                fn get_prompt(
                    __name: ::std::string::String,
                    __arguments: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
                ) -> ::core::result::Result<::bailiwick_sdk::context::Conversation, ::bailiwick_sdk::Failure> {
                    let _ = &__arguments;
                    match __name.as_str() {
                        #(#gets)*
                        _ => ::core::result::Result::Err(::bailiwick_sdk::__private::unknown_prompt(&__name)),
                    }
                }

                fn read_resource(
                    __uri: ::std::string::String,
                ) -> ::core::result::Result<::std::vec::Vec<::bailiwick_sdk::EmbeddedResource>, ::bailiwick_sdk::Failure>
                {
                    #(#reads)*
                    ::core::result::Result::Err(::bailiwick_sdk::__private::unknown_resource(&__uri))
                }

                fn complete(
                    __subject: ::bailiwick_sdk::context::Subject,
                    __argument: ::std::string::String,
                    __value: ::std::string::String,
                    __known: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
                ) -> ::core::result::Result<::bailiwick_sdk::context::Completion, ::bailiwick_sdk::Failure> {
                    let _ = (&__subject, &__argument, &__value, &__known);
                    ::core::result::Result::Ok(#complete)
                }
            }

            #[cfg(not(target_family = "wasm"))]
            const _: fn() -> ::bailiwick_sdk::context::Catalogue = || {
                let _ = <__Plugin as ::bailiwick_sdk::__private::ContextGuest>::get_prompt;
                let _ = <__Plugin as ::bailiwick_sdk::__private::ContextGuest>::read_resource;
                let _ = <__Plugin as ::bailiwick_sdk::__private::ContextGuest>::complete;
                <__Plugin as ::bailiwick_sdk::__private::ContextGuest>::describe()
            };
        }
    }
}

impl Prompt {
    fn of(function: &mut ItemFn, options: Options) -> Result<Self> {
        let ident = function.sig.ident.clone();
        let name = match &options.name {
            Some(name) => valid_name(&name.value(), name.span(), "prompt")?,
            None => valid_name(&unraw(&ident), ident.span(), "prompt")?,
        };
        let description = options.description(function, "prompt")?;
        let arguments = parameters(function, "prompt")?.map(Argument::take).collect::<Result<_>>()?;
        Ok(Self { name, function: ident, title: options.title, description, arguments })
    }

    fn definition(&self) -> TokenStream {
        let Self { name, title, description, arguments, .. } = self;
        let title = text(title.as_ref());
        let arguments = arguments.iter().map(|Argument { name, description, required }| {
            let description =
                option((!description.is_empty()).then(|| quote!(::std::string::String::from(#description))));
            quote! {
                ::bailiwick_sdk::context::PromptArgument {
                    name: ::std::string::String::from(#name),
                    title: ::core::option::Option::None,
                    description: #description,
                    required: #required,
                }
            }
        });
        quote! {
            ::bailiwick_sdk::context::Prompt {
                name: ::std::string::String::from(#name),
                title: #title,
                description: ::std::string::String::from(#description),
                arguments: ::std::vec::Vec::from([#(#arguments),*]),
            }
        }
    }

    /// The arm of the `match` on the prompt's name.
    fn get(&self) -> TokenStream {
        let Self { name, function, arguments, .. } = self;
        let values = arguments.iter().map(|Argument { name, required, .. }| match required {
            true => quote!(::bailiwick_sdk::__private::required(&__arguments, #name)?),
            false => quote!(::bailiwick_sdk::__private::given(&__arguments, #name)),
        });
        quote!(#name => ::bailiwick_sdk::context::IntoPrompt::into_prompt(#function(#(#values),*)),)
    }
}

impl Argument {
    fn take(parameter: &mut PatType) -> Result<Self> {
        let name = parameter_name(parameter, "prompt")?;
        let (docs, kept) = parameter.attrs.drain(..).partition(|attribute| is(attribute, "doc"));
        parameter.attrs = kept;
        let docs: Vec<Attribute> = docs;
        #[expect(clippy::wildcard_enum_match_arm, reason = "a parameter can be of any type there is")]
        let required = match &*parameter.ty {
            Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "String") => true,
            Type::Path(path) if path.path.segments.last().is_some_and(is_option_of_string) => false,
            other => {
                return Err(Error::new_spanned(other, "a prompt's parameters are `String` or `Option<String>`"));
            }
        };
        Ok(Self { name, description: doc_text(&docs), required })
    }
}

fn is_option_of_string(segment: &syn::PathSegment) -> bool {
    let PathArguments::AngleBracketed(generics) = &segment.arguments else { return false };
    let Some(syn::GenericArgument::Type(Type::Path(inner))) = generics.args.first() else { return false };
    segment.ident == "Option" && inner.path.segments.last().is_some_and(|last| last.ident == "String")
}

impl Resource {
    fn of(function: &mut ItemFn, options: Options) -> Result<Self> {
        let ident = function.sig.ident.clone();
        let description = options.description(function, "resource")?;
        let parameters: Vec<String> = parameters(function, "resource")?
            .map(|parameter| parameter_name(parameter, "resource"))
            .collect::<Result<_>>()?;
        let place = match (options.uri, options.template) {
            (Some(uri), None) => Place::Uri(uri),
            (None, Some(template)) => Place::Template(template),
            (None, None) | (Some(_), Some(_)) => {
                return Err(Error::new(ident.span(), "a resource has a `uri = \"…\"` or a `template = \"…\"`"));
            }
        };
        let names = match &place {
            Place::Uri(_) => Vec::new(),
            Place::Template(template) => places(&template.value()),
        };
        let place_of = |parameter: &String| names.iter().position(|name| name == parameter);
        let places: Option<Vec<usize>> = parameters.iter().map(place_of).collect();
        let places = places.filter(|places| places.len() == names.len());
        let message = "a resource's parameters are the places of its template, each a `String`";
        let places = places.ok_or_else(|| Error::new_spanned(&function.sig.inputs, message))?;
        let name = options.name.map_or_else(|| unraw(&ident), |name| name.value());
        let Options { title, mime_type, size, .. } = options;
        Ok(Self { function: ident, place, name, title, description, mime_type, size, places })
    }

    fn definition(&self) -> TokenStream {
        let Self { name, title, description, mime_type, size, .. } = self;
        let (title, mime_type) = (text(title.as_ref()), text(mime_type.as_ref()));
        let size = option(size.as_ref().map(|size| quote!(#size)));
        let (kind, place, size) = match &self.place {
            Place::Uri(uri) => (
                quote!(::bailiwick_sdk::ResourceLink),
                quote!(uri: ::std::string::String::from(#uri)),
                quote!(size: #size,),
            ),
            Place::Template(template) => (
                quote!(::bailiwick_sdk::context::ResourceTemplate),
                quote!(uri_template: ::std::string::String::from(#template)),
                TokenStream::new(),
            ),
        };
        quote! {
            #kind {
                #place,
                name: ::std::string::String::from(#name),
                title: #title,
                description: ::core::option::Option::Some(::std::string::String::from(#description)),
                mime_type: #mime_type,
                #size
            }
        }
    }

    /// Returns what is read, if it is this one that is asked for.
    fn read(&self) -> TokenStream {
        let Self { function, places, .. } = self;
        let (Place::Uri(pattern) | Place::Template(pattern)) = &self.place;
        let mime_type = option(self.mime_type.as_ref().map(|mime_type| quote!(#mime_type)));
        let values = places.iter().map(|place| quote!(__values[#place].clone()));
        quote! {
            if let ::core::option::Option::Some(__values) = ::bailiwick_sdk::context::values(#pattern, &__uri) {
                let _ = &__values;
                return ::bailiwick_sdk::context::IntoResource::into_resource(#function(#(#values),*), &__uri, #mime_type);
            }
        }
    }
}

impl Options {
    /// Takes the mark off; none: the function is not marked.
    fn take(function: &mut ItemFn, mark: &str) -> Result<Option<Self>> {
        let Some(at) = function.attrs.iter().position(|attribute| is(attribute, mark)) else { return Ok(None) };
        let attribute = function.attrs.remove(at);
        let mut options = Self::default();
        if !matches!(attribute.meta, Meta::Path(_)) {
            attribute.parse_nested_meta(|meta| options.read_one(&meta, mark))?;
        }
        match &function.sig.asyncness {
            Some(keyword) => {
                Err(Error::new_spanned(keyword, format!("a {mark} is not `async`: a plugin runs one call at a time")))
            }
            None => Ok(Some(options)),
        }
    }

    fn read_one(&mut self, meta: &ParseNestedMeta, mark: &str) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match (mark, key.as_str()) {
            (_, "name") => self.name = Some(meta.value()?.parse()?),
            (_, "title") => self.title = Some(meta.value()?.parse()?),
            (_, "description") => self.description = Some(meta.value()?.parse()?),
            ("resource", "uri") => self.uri = Some(meta.value()?.parse()?),
            ("resource", "template") => self.template = Some(meta.value()?.parse()?),
            ("resource", "mime_type") => self.mime_type = Some(meta.value()?.parse()?),
            ("resource", "size") => self.size = Some(meta.value()?.parse()?),
            ("prompt", _) => return Err(meta.error("expected one of `name`, `title`, `description`")),
            (_, _) => {
                let all = "`uri`, `template`, `name`, `title`, `description`, `mime_type`, `size`";
                return Err(meta.error(format!("expected one of {all}")));
            }
        }
        Ok(())
    }

    fn description(&self, function: &ItemFn, mark: &str) -> Result<String> {
        let description = self.description.as_ref().map_or_else(|| doc_text(&function.attrs), LitStr::value);
        if description.trim().is_empty() {
            let message = format!("a {mark} needs a description: write a doc comment that says what it is good for");
            return Err(Error::new(function.sig.ident.span(), message));
        }
        Ok(description)
    }
}

fn parameters<'f>(function: &'f mut ItemFn, mark: &str) -> Result<impl Iterator<Item = &'f mut PatType>> {
    let typed = function.sig.inputs.iter_mut().map(|input| match input {
        FnArg::Typed(parameter) => Ok(parameter),
        FnArg::Receiver(receiver) => {
            Err(Error::new_spanned(receiver, format!("a {mark} is a function without `self`")))
        }
    });
    Ok(typed.collect::<Result<Vec<_>>>()?.into_iter())
}

fn parameter_name(parameter: &PatType, mark: &str) -> Result<String> {
    let Pat::Ident(pattern) = &*parameter.pat else {
        return Err(Error::new_spanned(&parameter.pat, format!("a {mark}'s parameter is a plain name")));
    };
    Ok(unraw(&pattern.ident))
}

/// The names in the braces of a template.
fn places(template: &str) -> Vec<String> {
    let named = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    named.map(|(name, _)| name.trim_start_matches('+').to_owned()).collect()
}

fn text(literal: Option<&LitStr>) -> TokenStream {
    option(literal.map(|literal| quote!(::std::string::String::from(#literal))))
}
