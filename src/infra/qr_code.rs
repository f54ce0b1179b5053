//! QR codes for pages.

use qrcode::QrCode;
use qrcode::render::svg;

use crate::base::error::{Error, Result};

/// The text as the QR code of an SVG image of at least 200 × 200 pixels. It consists of squares
/// only, so it contains nothing of the text. Always dark on light, because cameras need it.
///
/// # Errors
/// The text is too long for a QR code (about 2,300 bytes).
pub fn qr_code_svg(text: &str) -> Result<String> {
    let code = QrCode::new(text.as_bytes()).map_err(|e| Error::internal(e.to_string()))?;
    let drawn = code
        .render::<svg::Color<'_>>()
        .min_dimensions(200, 200)
        .build();
    let begin = drawn.find("<svg").unwrap_or_default();
    Ok(drawn[begin..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_an_image_without_styles_and_without_its_text() {
        let url = "stratum+tcp://192.168.1.7:34255";
        let code = qr_code_svg(url).unwrap();
        assert!(code.starts_with("<svg") && code.contains("xmlns"), "{code}");
        assert!(
            !code.contains("style=") && !code.contains("192.168"),
            "{code}"
        );
        assert_ne!(
            code,
            qr_code_svg("stratum+tcp://192.168.1.8:34255").unwrap()
        );
        assert!(qr_code_svg(&"x".repeat(3000)).is_err());
    }
}
