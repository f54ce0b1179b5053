//! The steps of setup: their order and their fields. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoEnumIterator;

use crate::programs::jd_client::config_fields::{ConfigField, FieldGroup};

// Variants are in the order of the pages.
/// A page of setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
#[derive(strum::EnumIter, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum SetupStep {
    /// The mining mode.
    Mode,
    /// The template provider.
    Provider,
    /// The pools, in order of use.
    Pools,
    /// The payout.
    Payout,
    /// The name and the ports.
    Name,
    /// The review of all answers.
    Review,
}

impl SetupStep {
    /// The step in the URL.
    pub fn slug(self) -> &'static str {
        self.into()
    }

    /// The label in the row of steps.
    pub fn words(self) -> &'static str {
        match self {
            Self::Mode => "Miners and mode",
            Self::Provider => "Template provider",
            Self::Pools => "Pools",
            Self::Payout => "Payout",
            Self::Name => "Name and ports",
            Self::Review => "Review",
        }
    }

    /// The heading of the page.
    pub fn question(self) -> &'static str {
        match self {
            Self::Mode => "Miners and mode",
            Self::Provider => "Template provider",
            Self::Pools => "Pools",
            Self::Payout => "Payout",
            Self::Name => "Name and ports",
            Self::Review => "Review",
        }
    }

    /// The steps of a setup with or without pools.
    pub fn path(needs_pool: bool) -> Vec<Self> {
        Self::iter()
            .filter(|step| needs_pool || *step != Self::Pools)
            .collect()
    }

    /// The step that contains the field with this name; none if setup has no such field.
    pub fn of_field(name: &str) -> Option<Self> {
        match name {
            "miners" | "mode" => Some(Self::Mode),
            "upstreams" => Some(Self::Pools),
            "network" => Some(Self::Payout),
            "name" | "reach" | "miner_class" => Some(Self::Name),
            "listening_port" | "monitoring_port" | "stratum_v1_port" => Some(Self::Name),
            "proposed_listening_port" | "proposed_monitoring_port" | "proposed_stratum_v1_port" => {
                Some(Self::Name)
            }
            _ => {
                let (row, field) = ConfigField::named(name)?;
                match field.group {
                    FieldGroup::Provider => Some(Self::Provider),
                    // The network is not part of the client's file; the payout step has it.
                    FieldGroup::Tp | FieldGroup::Core if field.is_in_files() => {
                        Some(Self::Provider)
                    }
                    FieldGroup::Payout => Some(Self::Payout),
                    _ => row.filter(|row| *row < 99).map(|_| Self::Pools),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_by_their_address_and_their_fields() {
        for step in SetupStep::iter() {
            assert_eq!(step.slug().parse(), Ok(step));
        }
        assert!("toml".parse::<SetupStep>().is_err());
        assert_eq!(SetupStep::path(false).len(), 5);
        for (name, step) in [
            ("mode", Some(SetupStep::Mode)),
            (
                "template_provider_type.Sv2Tp.address",
                Some(SetupStep::Provider),
            ),
            ("template_provider_type.Sv2Tp.secret", None),
            ("upstreams.3.pool_port", Some(SetupStep::Pools)),
            ("upstreams.x.pool_port", None),
            ("upstreams.3.secret", None),
            ("authority_secret_key", None),
            ("reach", Some(SetupStep::Name)),
            ("action", None),
        ] {
            assert_eq!(SetupStep::of_field(name), step, "{name}");
        }
    }
}
