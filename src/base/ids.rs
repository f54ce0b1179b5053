//! Identifiers of stored objects.
//!
//! Vocabulary: independent of storage layout, HTTP and processes. Each kind of object has its own
//! type, so that the id of a saved configuration cannot be passed to a function that needs an
//! instance.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, AsExpression, FromSqlRow)]
        #[serde(transparent)]
        #[diesel(sql_type = Text)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// Creates a random id (UUID version 4).
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "uuid" })
            }
        }

        // diesel has no Uuid for SQLite: ids are TEXT in hyphenated lower-case form.
        impl ToSql<Text, Sqlite> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(self.to_string());
                Ok(serialize::IsNull::No)
            }
        }

        impl FromSql<Text, Sqlite> for $name {
            fn from_sql(bytes: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                let text = <String as FromSql<Text, Sqlite>>::from_sql(bytes)?;
                Ok(text.parse()?)
            }
        }
    };
}

id! {
    /// The id of a saved configuration.
    ConfigId
}
id! {
    /// The id of a mute: what sends no notifications for a while.
    MuteId
}
id! {
    /// The id of an instance: one JD client under one keeper. Also the name of its directory under
    /// `instances/`.
    InstanceId
}
id! {
    /// The id of a job on clients: an installation or a switch of version.
    JobId
}
id! {
    /// The id of an unfinished setup.
    SetupId
}
id! {
    /// The id of an alert rule.
    RuleId
}
id! {
    /// The id of a user.
    UserId
}
id! {
    /// The id of a session; different from its cookie.
    SessionId
}
id! {
    /// The id of an API token; different from the token.
    TokenId
}
id! {
    /// The id of an alert channel.
    ChannelId
}
