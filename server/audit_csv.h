#pragma once

// Audit records as CSV (RFC 4180) for spreadsheets. Pure functions; any thread.

#include <string>
#include <string_view>

#include "store/audit_bundle.h"

namespace bedside::server {

// Always in quotes. What a spreadsheet would take for a formula (it begins with = + - @, a tab or a
// carriage return) gets an apostrophe in front.
std::string csv_cell(std::string_view value);

// "records.csv": one line a record, the names of the columns first. The last column has the detail
// as JSON.
store::Rendering audit_csv();

}  // namespace bedside::server
