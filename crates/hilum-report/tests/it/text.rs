//! What the report says.

use hilum_findings::Findings;
use hilum_report::{Language, ReportInput, write_report};

use crate::cases;

fn html(findings: &Findings, language: Language) -> String {
    write_report(&ReportInput { findings, subject: None, images: None, language })
        .expect("the report can be written")
        .html
}

/// The words of the part of a page from `start` to `end`, a line per block.
fn words(html: &str, start: &str, end: &str) -> String {
    let from = html.find(start).unwrap_or_else(|| panic!("the page has {start}"));
    let to = html[from..].find(end).map_or(html.len(), |i| from + i);
    let mut text = String::new();
    let mut in_tag = false;
    for letter in
        html[from..to].replace("</p>", "\n</p>").replace("</li>", "\n</li>").replace("</h2>", "\n</h2>").chars()
    {
        match letter {
            '<' => in_tag = true,
            '>' => in_tag = false,
            // No-break spaces would be invisible in the snapshots.
            '\u{a0}' if !in_tag => text.push('~'),
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    text.trim().to_string()
}

fn lead(findings: &Findings, language: Language) -> String {
    words(&html(findings, language), "<div class=\"lead\"", "</div>")
}

#[test]
fn impressions_of_typical_studies() {
    insta::assert_snapshot!("normal", lead(&cases::normal(), Language::English));
    insta::assert_snapshot!("covid_like", lead(&cases::covid_like(), Language::English));
    insta::assert_snapshot!("lobar", lead(&cases::lobar(), Language::English));
    insta::assert_snapshot!("refused", lead(&cases::refused(), Language::English));
}

#[test]
fn impressions_in_other_languages() {
    for language in [Language::German, Language::French, Language::Spanish] {
        insta::assert_snapshot!(format!("covid_like_{}", language.tag()), lead(&cases::covid_like(), language));
    }
}

#[test]
fn an_opacity_too_small_to_list_is_called_a_trace() {
    let mut findings = cases::normal();
    findings.lesions.total_ml = Some(0.8);
    findings.lesions.percent_of_lung = Some(0.02);
    let said = lead(&findings, Language::English);
    assert!(
        said.starts_with("Only a trace of opacity (0.8~ml, <~0.1~% of the lung)") || said.contains("&lt;~0.1~%"),
        "{said}"
    );
}

#[test]
fn a_refused_study_gets_the_reason_and_no_numbers() {
    let page = html(&cases::refused(), Language::English);
    assert!(page.contains("No lungs &lt;found&gt; in this series"), "foreign text is escaped");
    for absent in ["id=\"scores\"", "id=\"lobes\"", "class=\"figures\"", "CT severity score", "No pulmonary opacity"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn the_page_is_well_formed_and_asks_nobody_for_anything() {
    for findings in [cases::normal(), cases::covid_like(), cases::lobar(), cases::refused()] {
        for language in Language::ALL {
            let page = html(&findings, language);
            assert_well_formed(&page);
            assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())));
            for forbidden in ["http://", "https://", "<script", "<link", "@import", "url(", "src=\"/", "<iframe"] {
                assert!(!page.contains(forbidden), "{forbidden}");
            }
        }
    }
}

/// Every element that is opened is closed, in order.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 2] = ["meta", "img"];
    let mut open: Vec<&str> = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("every tag is closed");
        let name = tag.split([' ', '/']).find(|n| !n.is_empty()).unwrap_or("");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "closing tags match");
        } else if !tag.starts_with('!') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn tables_have_heads_for_rows_and_columns() {
    let page = html(&cases::covid_like(), Language::English);
    for table in page.split("<table>").skip(1) {
        let table = &table[..table.find("</table>").expect("tables end")];
        let rows = table.split("<tbody>").nth(1).expect("tables have bodies").matches("<tr").count();
        assert!(table.contains("<caption>") && table.contains("scope=\"col\""));
        assert_eq!(table.matches("scope=\"row\"").count(), rows);
    }
}

#[test]
fn ten_components_are_listed_and_the_rest_counted() {
    let page = html(&cases::covid_like(), Language::English);
    let section = words(&page, "id=\"components\"", "</section>");
    assert!(section.contains("2 more, 20.9~ml in all"), "{section}");
    assert!(section.contains("7 smaller than 0.1~ml each (0.3~ml together)"), "{section}");
}

#[test]
fn the_same_findings_give_the_same_bytes() {
    let findings = cases::covid_like();
    let input = ReportInput { findings: &findings, subject: None, images: None, language: Language::English };
    assert_eq!(write_report(&input).unwrap(), write_report(&input).unwrap());
}

#[test]
fn the_pdf_names_its_time_and_no_other() {
    let findings = cases::covid_like();
    let input = ReportInput { findings: &findings, subject: None, images: None, language: Language::English };
    let pdf = String::from_utf8_lossy(&write_report(&input).unwrap().pdf).into_owned();
    assert!(pdf.contains("D:20260301102030"), "the creation date is that of the findings");
    assert!(pdf.contains("pdfaid:part"), "it declares itself PDF/A");
}

#[test]
fn a_time_that_is_none_costs_the_archival_mark_but_not_the_pdf() {
    for created in [None, Some("yesterday".to_string())] {
        let findings = Findings { created, ..cases::covid_like() };
        let input = ReportInput { findings: &findings, subject: None, images: None, language: Language::French };
        let pdf = String::from_utf8_lossy(&write_report(&input).unwrap().pdf).into_owned();
        assert!(pdf.starts_with("%PDF-") && !pdf.contains("pdfaid:part"));
    }
}
