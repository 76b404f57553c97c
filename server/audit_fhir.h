#pragma once

// Audit records as FHIR R4 AuditEvent resources (https://hl7.org/fhir/R4/auditevent.html) with the
// codes of DICOM PS3.15 and IHE BALP where they fit. Pure functions; any thread.

#include <string>
#include <string_view>

#include "store/audit_bundle.h"

namespace bedside::server {

// What an event is, in codes that other systems know.
struct FhirCoding {
  std::string_view prefix;  // of our type: the longest one counts
  std::string_view type;    // of the system DCM
  std::string_view type_name;
  std::string_view subtype;  // of the system DCM, or of iso-21089 if it is a word; may be empty
  std::string_view subtype_name;
  char action;  // C, R, U, D or E
};
// Nothing for a type that no row of the table is about.
const FhirCoding* fhir_coding_of(std::string_view type);

// "audit-events.ndjson": one AuditEvent a line. Each has the sealed body in entity[0].detail.
// `origin` names the log.
store::Rendering audit_fhir(std::string origin);

}  // namespace bedside::server
