//! The exit codes, in one place.

use bailiwick_core::outcome::Code;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Done,
    /// The tool failed, or `check`, `audit`, `lock` or `inspect` found something.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The configuration is missing or wrong.
    Config,
    /// Refused: any `denied.*` code.
    Denied,
    /// No such tool, or its arguments are not what it takes.
    Arguments,
    /// Over a limit: any `limit.*` code.
    Limit,
    /// The host itself cannot start.
    Start,
    /// Interrupted by a signal.
    Interrupted,
}

/// What `bailiwick --help` says about exit codes.
pub(super) const HELP: &str = "\
Exit codes:
    0  all is well
    1  the tool failed, or `check`, `audit`, `lock` or `inspect` found something
    2  the command line is wrong
    3  the configuration is missing or wrong
    4  refused: any `denied.*` code
    5  no such tool, or its arguments are not what it takes
    6  over a limit: any `limit.*` code
    7  the host itself cannot start
  130  interrupted

`bailiwick help config` describes the configuration, `bailiwick codes` lists the codes of failures.";

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Denied => 4,
            Self::Arguments => 5,
            Self::Limit => 6,
            Self::Start => 7,
            Self::Interrupted => 130,
        }
    }

    /// How a call ends that failed with `code`.
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::ArgumentsInvalid | Code::ArgumentsTooLarge | Code::ToolUnknown => Self::Arguments,
            Code::DeniedExecute
            | Code::DeniedTool
            | Code::DeniedApproval
            | Code::DeniedCall
            | Code::DeniedQuarantined
            | Code::DeniedNetHost
            | Code::DeniedNetScheme
            | Code::DeniedNetPort
            | Code::DeniedNetMethod
            | Code::DeniedNetPath
            | Code::DeniedNetAddress
            | Code::DeniedFsRead
            | Code::DeniedFsWrite
            | Code::DeniedSecret
            | Code::DeniedProcess
            | Code::DeniedManage
            | Code::DeniedCeiling => Self::Denied,
            Code::LimitTime
            | Code::LimitMemory
            | Code::LimitStack
            | Code::LimitHandles
            | Code::LimitOutput
            | Code::LimitHttp
            | Code::LimitCalls
            | Code::LimitConcurrency
            | Code::LimitRate
            | Code::LimitBudget
            | Code::LimitCompile => Self::Limit,
            Code::PluginNotConfigured => Self::Config,
            Code::Cancelled => Self::Interrupted,
            Code::HostAudit
            | Code::ToolNotFound
            | Code::ToolFailed
            | Code::CallerNoInput
            | Code::CallerNoSampling
            | Code::CallerNoRoots
            | Code::PluginTrap
            | Code::PluginExit
            | Code::PluginInvalid
            | Code::UpstreamTimeout
            | Code::UpstreamDns
            | Code::UpstreamConnect
            | Code::UpstreamTls
            | Code::UpstreamProtocol
            | Code::UpstreamStatus
            | Code::UpstreamAuth
            | Code::ServerUnreachable
            | Code::ServerEnded
            | Code::Internal => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_of_codes_has_one_exit_code() {
        for code in Code::ALL {
            let exit = Exit::of(*code);
            assert_eq!(exit == Exit::Denied, code.is_denial(), "{code}");
            assert_eq!(exit == Exit::Limit, code.as_str().starts_with("limit."), "{code}");
        }
    }

    #[test]
    fn the_help_names_every_number() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Config,
            Exit::Denied,
            Exit::Arguments,
            Exit::Limit,
            Exit::Start,
            Exit::Interrupted,
        ];
        for exit in all {
            assert!(HELP.contains(&format!("{:>5}  ", exit.number())), "{exit:?}");
        }
    }
}
