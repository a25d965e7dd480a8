//! How a service is logged in at, as it is said on the command line.

use std::collections::BTreeMap;

use clap::Args;
use zeroize::Zeroizing;

use bailiwick_core::config::Flaw;
use bailiwick_core::registration::OpenApi;
use bailiwick_core::registration::login::{Credential, Login, format, sealed_body};

use super::given::Hidden;
use crate::ambient;
use crate::registrations::Values;

/// What can be said of a login. Where something is said, it is all of it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Login")]
pub(super) struct LoginArguments {
    /// Where to log in once the service refuses a request; an empty text for nowhere
    #[arg(long, value_name = "URL")]
    auth_login_url: Option<String>,
    /// The method of the login [default: POST]
    #[arg(long, value_name = "METHOD")]
    auth_login_method: Option<String>,
    /// What is sent; `${NAME}` stands for a variable of the environment, whose value is read now and sealed. The rest is not
    #[arg(long, value_name = "BODY")]
    auth_login_body: Option<Hidden>,
    /// What the body is [default: application/json for what looks like JSON, or else a form]
    #[arg(long, value_name = "TYPE")]
    auth_login_content_type: Option<String>,
    /// The cookie of the answer that proves who asks
    #[arg(long, value_name = "NAME", conflicts_with = "auth_extract_json")]
    auth_extract_cookie: Option<String>,
    /// The place in a JSON answer of what proves who asks, such as `$.token`
    #[arg(long, value_name = "PATH")]
    auth_extract_json: Option<String>,
    /// The header that requests carry it in [default: Cookie, or Authorization]
    #[arg(long, value_name = "NAME")]
    auth_inject_header: Option<String>,
    /// What the header says; `{}` or `%s` stands for it [default: `NAME={}`, or `Bearer {}`]
    #[arg(long, value_name = "TEXT")]
    auth_inject_format: Option<String>,
}

impl LoginArguments {
    /// Whether anything is said.
    pub(super) fn is_given(&self) -> bool {
        self.auth_login_url.is_some() || self.has_parts()
    }

    /// Whether anything is said beside the URL.
    fn has_parts(&self) -> bool {
        let texts = [
            &self.auth_login_method,
            &self.auth_login_content_type,
            &self.auth_extract_cookie,
            &self.auth_extract_json,
            &self.auth_inject_header,
            &self.auth_inject_format,
        ];
        self.auth_login_body.is_some() || texts.into_iter().any(Option::is_some)
    }

    /// Puts what is given in the place of the login of a service, and its values in the place of those from before.
    ///
    /// # Ambient authority
    /// Reads the variables that the body names.
    ///
    /// # Errors
    /// It is no whole login; no value is in the sentence.
    pub(super) fn put(&self, service: &mut OpenApi, values: &mut Values) -> Result<(), Flaw> {
        if !self.is_given() {
            return Ok(());
        }
        let url = self.auth_login_url.as_deref().map(str::trim).unwrap_or_default();
        if !url.is_empty() {
            let (login, sealed) = self.login(url)?;
            service.login = Some(login);
            values.login = sealed;
            return Ok(());
        }
        if self.has_parts() {
            let flaw = Flaw::new("it is not said where to log in, and what is said of a login is all of it");
            return Err(flaw.legal("`--auth-login-url URL` beside the others, or an empty one alone for no login"));
        }
        service.login = None;
        values.login.clear();
        Ok(())
    }

    fn login(&self, url: &str) -> Result<(Login, BTreeMap<String, Zeroizing<String>>), Flaw> {
        let credential = match (&self.auth_extract_cookie, &self.auth_extract_json) {
            (Some(cookie), _) => Credential::Cookie(cookie.clone()),
            (None, Some(json)) => Credential::Json(json.clone()),
            (None, None) => {
                let flaw = Flaw::new("it is not said what of the answer to the login proves who asks");
                return Err(flaw.legal("`--auth-extract-cookie NAME` or `--auth-extract-json $.token`"));
            }
        };
        let body = self.auth_login_body.as_ref().map_or("", |body| body.0.as_str());
        let (body, sealed) = sealed_body(body, &|name| ambient::env(name))?;
        let secrets = sealed.iter().map(|(name, _)| name.clone()).collect();
        let login = Login {
            url: url.to_owned(),
            method: self.auth_login_method.as_deref().unwrap_or("POST").to_ascii_uppercase(),
            body,
            content_type: self.auth_login_content_type.clone(),
            credential,
            header: self.auth_inject_header.clone(),
            format: self.auth_inject_format.as_deref().map(format),
            secrets,
        };
        Ok((login, sealed.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect()))
    }
}
