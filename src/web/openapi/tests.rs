use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::*;

#[derive(JsonSchema, Serialize)]
struct Cow {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bell: Option<u8>,
    calf: Option<Box<Cow>>,
}

#[derive(JsonSchema, Serialize)]
struct Herd {
    detail: String,
}

fn document() -> Value {
    let operations = vec![
        get("/cows/{id}", "getCow", "A cow.")
            .asks([whole("limit", "So many.", 1, 9).or(3)])
            .gives::<Cow>(PAGE)
            .fails(&[409]),
        post("/cows", "buyCow", "Buys a cow.")
            .about("It is led home.")
            .takes([text("name", "Its name.").longest(8).required()])
            .makes::<Cow>(),
        post("/cows/{id}/milk", "milkCow", "Milks a cow.")
            .acts([text("next", "The next page.")])
            .does::<Herd>(),
        get("/open", "open", "For all.")
            .for_anybody()
            .gives::<Herd>(PROGRAMS),
    ];
    let parts = vec![OperationGroup {
        tag: "Cows",
        about: "All of them.",
        operations,
    }];
    let security = json!({ "token": { "type": "http", "scheme": "bearer" } });
    let problem = shape::<Herd>();
    ApiDocument {
        title: "Farm",
        version: "1.2.3",
        about: "A farm.",
        prefix: "/api",
        security,
        problem,
        parts,
    }
    .build()
}

#[test]
fn a_document_says_what_was_written_down() {
    let document = document();
    assert_eq!(
        (
            &document["openapi"],
            &document["info"]["version"],
            &document["servers"][0]["url"]
        ),
        (&json!("3.1.0"), &json!("1.2.3"), &json!("/api"))
    );
    let cow = &document["paths"]["/cows/{id}"]["get"];
    assert_eq!(
        (&cow["operationId"], &cow["x-role"], &cow["tags"]),
        (&json!("getCow"), &json!("viewer"), &json!(["Cows"]))
    );
    let limit = json!({ "name": "limit", "in": "query", "description": "So many.", "required": false,
        "schema": { "type": "integer", "minimum": 1, "maximum": 9, "default": 3 } });
    assert_eq!(
        (cow["parameters"][0]["name"].as_str(), &cow["parameters"][1]),
        (Some("id"), &limit)
    );
    assert_eq!(
        cow["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Cow"
    );
    assert_eq!(
        cow["responses"]["200"]["content"]["text/html"]["schema"],
        json!({ "type": "string" })
    );
    let bought = &document["paths"]["/cows"]["post"];
    assert_eq!(
        bought["description"],
        "It is led home.\n\nRequires the admin role."
    );
    assert_eq!(bought["requestBody"]["required"], true);
    assert_eq!(
        bought["requestBody"]["content"]["application/json"]["schema"]["required"],
        json!(["name"])
    );
    assert!(bought["responses"]["201"]["headers"]["Location"].is_object());
    assert_eq!(
        document["paths"]["/cows/{id}/milk"]["post"]["requestBody"]["required"],
        false
    );
    assert_eq!(document["paths"]["/open"]["get"]["security"], json!([]));
}

#[test]
fn problems_follow_from_what_is_asked_for() {
    let document = document();
    let statuses = |path: &str, method: &str| -> Vec<String> {
        document["paths"][path][method]["responses"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(
        statuses("/cows/{id}", "get"),
        [
            "200", "401", "403", "404", "406", "409", "421", "422", "503"
        ]
    );
    assert_eq!(
        statuses("/cows", "post"),
        [
            "201", "303", "400", "401", "403", "406", "413", "415", "421", "422", "503"
        ]
    );
    assert_eq!(
        statuses("/cows/{id}/milk", "post"),
        [
            "200", "303", "400", "401", "403", "404", "406", "413", "421", "422", "503"
        ]
    );
    assert_eq!(statuses("/open", "get"), ["200", "421", "422", "503"]);
    for (_, response) in document["components"]["responses"].as_object().unwrap() {
        assert_eq!(
            response["content"]["application/problem+json"]["schema"]["$ref"],
            "#/components/schemas/Herd"
        );
    }
}

#[test]
fn a_type_is_described_once_as_it_is_serialised() {
    let document = document();
    let cow = &document["components"]["schemas"]["Cow"];
    assert_eq!(cow["required"], json!(["name", "calf"]));
    assert_eq!(
        cow["properties"]["calf"]["anyOf"][0]["$ref"],
        "#/components/schemas/Cow"
    );
}

#[test]
fn a_schema_is_told_in_a_few_words() {
    for (schema, words) in [
        (
            json!({ "type": "integer", "minimum": 1, "maximum": 9 }),
            "whole number, 1 to 9",
        ),
        (json!({ "type": ["string", "null"] }), "text or null"),
        (
            json!({ "type": "array", "items": { "$ref": "#/components/schemas/Cow" } }),
            "list of Cow",
        ),
        (json!({ "enum": ["a", "b"] }), "a, b"),
        (
            json!({ "anyOf": [{ "$ref": "#/components/schemas/Cow" }, { "type": "null" }] }),
            "Cow or null",
        ),
        (
            json!({ "type": "object", "additionalProperties": { "type": "number" } }),
            "number by name",
        ),
        (json!(true), "anything"),
    ] {
        assert_eq!(short_type(&schema), words, "{schema}");
    }
    assert_eq!(whole("n", "", 5, 9).example(), json!(5));
    assert_eq!(
        text("n", "").like("barn").or_null().example(),
        json!("barn")
    );
}

#[test]
fn a_line_for_the_shell_says_what_has_to_be_said() {
    let cow = || {
        [
            text("name", "Its name.").like("Berta").required(),
            text("bell", "Its bell."),
        ]
    };
    for (operation, line) in [
        (
            get("/cows/{id}", "a", "").gives::<Herd>(PAGE),
            "curl \"$API/cows/$ID\"",
        ),
        (
            delete("/cows/{id}", "a", "").does::<Herd>(),
            "curl -X DELETE \"$API/cows/$ID\"",
        ),
        (
            post("/cows", "a", "").takes(cow()).does::<Herd>(),
            "curl \"$API/cows\" --json '{\"name\":\"Berta\"}'",
        ),
        (
            patch("/cows", "a", "")
                .takes([flag("bell", "")])
                .does::<Herd>(),
            "curl -X PATCH \"$API/cows\" --json '{\"bell\":true}'",
        ),
        (
            post("/cows/{id}/milk", "a", "").acts([]).does::<Herd>(),
            "curl -X POST \"$API/cows/$ID/milk\"",
        ),
        (
            post("/cows", "a", "")
                .takes_shape(shape::<Cow>(), [])
                .does::<Herd>(),
            "curl \"$API/cows\" --json @body.json",
        ),
        (
            post("/hay", "a", "").takes_file(&[TEXT], []).does::<Herd>(),
            "curl \"$API/hay\" -H 'Content-Type: text/plain' --data-binary @file",
        ),
        (
            get("/cows/{n}/song", "a", "")
                .named(number("n", "").like(3))
                .asks([text("key", "").like("C").required()])
                .gives_file(&[TEXT]),
            "curl -OJ \"$API/cows/3/song?key=C\"",
        ),
    ] {
        assert_eq!(curl(&operation), line);
    }
}
