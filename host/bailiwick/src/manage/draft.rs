//! A registration that is being made or changed, with its values.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use bailiwick_core::call::Caller;
use bailiwick_core::config::Flaw;
use bailiwick_core::registration::resource::{self, Made};
use bailiwick_core::registration::{DEFAULT_TIMEOUT_MS, Protocol, Registration};

use super::Refused;
use crate::registrations::{Kept, RegistrationError, Values, new_id};
use crate::store::now;

/// A registration before it is kept.
pub(super) struct Draft {
    pub(super) registration: Registration,
    pub(super) values: Values,
    /// The document that comes with it.
    pub(super) document: Option<Vec<u8>>,
}

impl Draft {
    /// One that is new. It has its name only when it is kept.
    pub(super) fn new(title: String, protocol: Protocol, caller: &Caller) -> Result<Self, Refused> {
        let (id, now) = (new_id().map_err(RegistrationError::from)?, now());
        let registration = Registration {
            id,
            name: resource::slug(&title, |_| false),
            title: Some(title),
            protocol,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            headers: Vec::new(),
            inject: Vec::new(),
            addresses: Vec::new(),
            net: Vec::new(),
            owner: caller.name.clone(),
            created_at: now,
            updated_at: now,
        };
        Ok(Self { registration, values: Values::default(), document: None })
    }

    /// One that is kept already.
    pub(super) fn of(kept: &Kept) -> Result<Self, Refused> {
        let values = kept.values.clone().map_err(RegistrationError::from)?;
        Ok(Self { registration: kept.registration.clone(), values, document: None })
    }

    pub(super) fn title(&self) -> String {
        resource::title(&self.registration).to_owned()
    }

    /// Takes over what a config says. What was sealed stays only where it goes where it went.
    pub(super) fn put(&mut self, made: Made) -> Result<(), Flaw> {
        let Made { mut protocol, timeout_ms, headers, inject, addresses } = made;
        let is_moved = resource::moved(&self.registration, &protocol);
        if is_moved {
            self.stays(headers.as_ref(), inject.as_ref())?;
        }
        if let Some(headers) = headers {
            self.put_headers(headers)?;
        }
        if let Some(inject) = inject {
            let mut values = serde_json::Map::new();
            for (name, value) in inject {
                let value = value.or_else(|| self.values.inject.get(&name).cloned());
                let value = value.ok_or_else(|| Flaw::new(format!("the argument `{name}` has no value")))?;
                values.insert(name, value);
            }
            self.registration.inject = values.keys().cloned().collect();
            self.values.inject = values;
        }
        let (input, output) = self.registration.protocol.schemas();
        let (input, output) = (Some(input.cloned()), Some(output.cloned()));
        if !matches!(protocol, Protocol::OpenApi(_)) {
            protocol.set_schemas(input, output)?;
        }
        self.registration.protocol = protocol;
        if self.registration.login().is_none() {
            self.values.login.clear();
        }
        self.registration.timeout_ms = timeout_ms.unwrap_or(self.registration.timeout_ms);
        self.registration.addresses = addresses.unwrap_or_else(|| std::mem::take(&mut self.registration.addresses));
        Ok(())
    }

    /// Refuses what would send values somewhere else than where they went.
    fn stays(
        &self,
        headers: Option<&BTreeMap<String, Option<String>>>,
        inject: Option<&BTreeMap<String, Option<serde_json::Value>>>,
    ) -> Result<(), Flaw> {
        let headers_stay = match headers {
            None => !self.registration.headers.is_empty(),
            Some(headers) => headers.values().any(Option::is_none),
        };
        let arguments_stay = match inject {
            None => !self.registration.inject.is_empty(),
            Some(inject) => inject.values().any(Option::is_none),
        };
        let message = "it would send what is sealed somewhere else than before";
        if self.registration.login().is_some() {
            return Err(Flaw::new(message).suggest("whoever said how to log in there takes that back first"));
        }
        if headers_stay || arguments_stay {
            return Err(Flaw::new(message).suggest("give the values of its headers and arguments once more, or `[]`"));
        }
        Ok(())
    }

    fn put_headers(&mut self, given: BTreeMap<String, Option<String>>) -> Result<(), Flaw> {
        let (mut headers, mut values) = (Vec::new(), BTreeMap::new());
        for (name, value) in given {
            let (header, value) = match value {
                Some(value) => {
                    let (header, value) = resource::header(&name, &value)?;
                    (header, Zeroizing::new(value))
                }
                None => {
                    let mut known = self.registration.headers.iter();
                    let known = known.find(|known| known.name.eq_ignore_ascii_case(&name)).cloned();
                    let missing = || Flaw::new(format!("the header `{name}` has no value"));
                    let header = known.ok_or_else(missing)?;
                    let value = self.values.headers.get(&header.name).cloned().ok_or_else(missing)?;
                    (header, value)
                }
            };
            if headers
                .iter()
                .any(|known: &bailiwick_core::registration::Header| known.name.eq_ignore_ascii_case(&header.name))
            {
                return Err(Flaw::new(format!("the header `{}` is given twice", header.name)));
            }
            values.insert(header.name.clone(), value);
            headers.push(header);
        }
        self.registration.headers = headers;
        self.values.headers = values;
        Ok(())
    }
}
