// This server as the witness of another log, to every outcome: cosigned, refused for each reason,
// no request at all, and while the disk is full. The log has exactly the records that
// audit_contract.h says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>

#include "server/witness_api.h"
#include "tests/server/audit_contract_rig.h"
#include "tests/store/growing_log.h"

namespace bedside::server {
namespace {

using store::GrowingLog;
using store::WitnessVerdict;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

// It has cosigned the first three records of log_.
class WitnessRig : public AuditContractRig {
 protected:
  WitnessRig() : AuditContractRig({}) {
    on_control([&] {
      WitnessOptions options{{log_.key()}, "witness.example/w", [this] { return now_.load(); }};
      witness_ = std::make_unique<WitnessApi>(loop(), options, key_, trail(), store());
      control().set_witness(witness_.get());
    });
    log_.grow(3);
    EXPECT_EQ(ask(log_.request(0))->status, 200);
    forget_records();
  }
  ~WitnessRig() {
    settle();
    on_control([&] {
      control().set_witness(nullptr);
      witness_.reset();
    });
  }

  httplib::Result ask(const std::string& body,
                      const std::string& route = "/witness/add-checkpoint") const {
    return http().Post(route, body, "text/plain");
  }
  // After the three come others than the ones that were cosigned.
  static std::string lie() {
    GrowingLog liar(kOrigin);
    liar.grow(5, "other");
    return liar.request(3);
  }

  static constexpr const char* kOrigin = "bedside/audit/a";
  GrowingLog log_{kOrigin};
  std::atomic<std::chrono::seconds> now_{std::chrono::seconds(1'800'000'000)};

 private:
  store::SigningKey key_ = store::key_from(3);
  std::unique_ptr<WitnessApi> witness_;
};

struct Witnessed {
  const char* what;
  WitnessVerdict verdict;
  int status;
};
constexpr Witnessed kWitnessed[] = {
    {"cosigned", WitnessVerdict::consistent, 200},
    {"unknown log", WitnessVerdict::unknown_log, 404},
    {"not signed", WitnessVerdict::not_signed, 403},
    {"older than its old size", WitnessVerdict::malformed, 400},
    {"other size", WitnessVerdict::other_size, 409},
    {"other past", WitnessVerdict::inconsistent, 422},
};

class WitnessContract : public WitnessRig, public testing::TestWithParam<Way> {
 protected:
  WitnessContract() { log_.grow(2); }

  static const Witnessed& expected() {
    return *std::find_if(std::begin(kWitnessed), std::end(kWitnessed),
                         [](const Witnessed& each) { return each.what == GetParam().what; });
  }
  std::string body() const {
    switch (expected().verdict) {
      case WitnessVerdict::consistent:
        return log_.request(3);
      case WitnessVerdict::unknown_log: {
        GrowingLog other("bedside/audit/b");
        other.grow(1);
        return other.request(0);
      }
      case WitnessVerdict::not_signed: {
        GrowingLog forged(kOrigin, 9);
        forged.grow(5);
        return forged.request(3);
      }
      case WitnessVerdict::malformed:
        return log_.request(16);
      case WitnessVerdict::other_size:
        return log_.request(1);
      case WitnessVerdict::inconsistent:
        return lie();
    }
    return {};
  }
};

TEST_P(WitnessContract, RecordsWhatItCosignsAndWhatIsProofAgainstTheLog) {
  EXPECT_EQ(ask(body(), GetParam().route)->status, expected().status);
  settle();
  EXPECT_THAT(new_records(), ElementsAreArray(line_of(expected().verdict).records));
  for (const store::AuditRow& row : new_rows()) {
    EXPECT_THAT(row.body, HasSubstr(R"("as":"witness")"));
    EXPECT_EQ(row.outcome, expected().status == 200 ? "ok" : "denied");
  }
  EXPECT_THAT(counted_types(), IsEmpty());
}

TEST_P(WitnessContract, CosignsNothingWhenTheDiskIsFull) {
  vfs.set_capacity(store::kNoSpace);
  const auto answer = ask(body(), GetParam().route);
  settle();
  EXPECT_THAT(new_records(), IsEmpty());
  if (line_of(expected().verdict).when_full == WhenFull::open) {
    EXPECT_EQ(answer->status, expected().status);
    return;
  }
  EXPECT_EQ(answer->status, 503);
  EXPECT_TRUE(answer->has_header("Retry-After"));
  vfs.set_capacity(0);
  EXPECT_EQ(ask(body(), GetParam().route)->status, 200) << "nothing was remembered";
  EXPECT_THAT(new_records(), testing::Contains("witness.cosigned").Times(1));
}

std::vector<std::string> names_of_witnessed() {
  std::vector<std::string> names;
  for (const Witnessed& each : kWitnessed) names.emplace_back(each.what);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, WitnessContract,
                         testing::ValuesIn(ways_to({Target::witness}, names_of_witnessed())),
                         name_of_way);

class WitnessItself : public WitnessRig, public testing::Test {};

TEST_F(WitnessItself, CountsWhatIsNoRequest) {
  EXPECT_EQ(ask("old 3\n\n")->status, 400);
  EXPECT_THAT(new_records(), IsEmpty());
  const std::vector<store::AuditRecord> rows = counted();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].type, "abuse.malformed");
  EXPECT_THAT(rows[0].detail.text(), HasSubstr(R"("kind":"checkpoint")"));
}

TEST_F(WitnessItself, RecordsWhatIsNewOnly) {
  EXPECT_EQ(ask(log_.request(3))->status, 200) << "the same again";
  const auto lies_recorded_after = [&](std::chrono::seconds later) {
    now_ = now_.load() + later;
    EXPECT_EQ(ask(lie())->status, 422);
    settle();
    return new_records().size();
  };
  EXPECT_EQ(lies_recorded_after(std::chrono::seconds(0)), 1U);
  EXPECT_EQ(lies_recorded_after(std::chrono::minutes(10) - std::chrono::seconds(1)), 1U);
  EXPECT_EQ(lies_recorded_after(std::chrono::seconds(1)), 2U);
}

}  // namespace
}  // namespace bedside::server
