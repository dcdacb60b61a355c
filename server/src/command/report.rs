//! Results for people at a terminal, and for a CI.

use quality::suite::{ExpectationResult, ValidationResult};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fmt::Write;

/// A line for each expectation: whether it is met, how much it matters, what it says, what was found.
pub fn text(run: &ValidationResult) -> String {
    let mut text = format!("{}\n", run.suite_name);
    for result in &run.results {
        let sign = match (result.success, &result.exception) {
            (true, _) => '✓',
            (false, None) => '✗',
            (false, Some(_)) => '!',
        };
        let (severity, sentence) = (result.expectation.severity_name(), result.expectation.sentence());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {sign} {severity:<8} {sentence}");
        if let Some(found) = result.found() {
            let _ = writeln!(text, "             {found}");
        }
    }
    let (met, all) = run.met();
    let _ = write!(text, "{met} of {all} expectations met");
    text
}

/// JUnit XML: a test suite for each run, a test case for each expectation. One that could not be evaluated is an error.
///
/// # Errors
/// A text cannot be written as XML.
pub fn junit(runs: &[ValidationResult]) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("stockstream validate");
    for run in runs {
        let mut suite = TestSuite::new(run.suite_name.clone());
        suite.add_test_cases(run.results.iter().enumerate().map(|(at, result)| case(at, result)));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(at: usize, result: &ExpectationResult) -> TestCase {
    let status = match (result.success, &result.exception) {
        (true, _) => TestCaseStatus::success(),
        (false, exception) => {
            let kind = if exception.is_some() { NonSuccessKind::Error } else { NonSuccessKind::Failure };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(result.found().unwrap_or_default());
            status.set_type(result.expectation.severity_name());
            status
        }
    };
    // Two expectations of a suite may say the same; a CI tells cases apart by their names.
    let mut case = TestCase::new(format!("[{at}] {}", result.expectation.sentence()), status);
    case.set_classname(result.expectation.kind.clone());
    case
}

/// Columns as wide as they need to be, the last one open.
pub fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_its_widest_cell() {
        let rows = [["a".to_owned(), "x".to_owned()], ["bbb".to_owned(), String::new()]];
        assert_eq!(table(["K", "V"], rows.into_iter()), "K    V\na    x\nbbb\n");
    }
}
