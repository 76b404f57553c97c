#pragma once

// Every type of audit record, once. Dotted, lower case, from the general to the special: a filter
// by prefix ("room.", "auth.") selects a group.

#include <array>
#include <string_view>

namespace bedside::server::audit_type {

inline constexpr std::string_view kServiceStart = "service.start";
inline constexpr std::string_view kServiceStop = "service.stop";
inline constexpr std::string_view kServiceUpgrade = "service.upgrade";
inline constexpr std::string_view kTimeStep = "time.step";
inline constexpr std::string_view kTimeUnsynced = "time.unsynced";
inline constexpr std::string_view kConfigChanged = "config.changed";
inline constexpr std::string_view kCertificateRenewed = "cert.renewed";
inline constexpr std::string_view kKeyRotated = "key.rotated";
inline constexpr std::string_view kKeysGivenUp = "key.given_up";
inline constexpr std::string_view kRoomCreated = "room.created";
inline constexpr std::string_view kRoomEnded = "room.ended";
inline constexpr std::string_view kRoomExpired = "room.expired";
inline constexpr std::string_view kEmergencyOpened = "room.emergency_opened";
inline constexpr std::string_view kRoomLocked = "room.locked";
inline constexpr std::string_view kLinkIssued = "link.issued";
inline constexpr std::string_view kLinkOpened = "link.opened";
inline constexpr std::string_view kLinkDropped = "link.dropped";
inline constexpr std::string_view kRoomKnock = "room.knock";
inline constexpr std::string_view kRoomAdmit = "room.admit";
inline constexpr std::string_view kRoomDeny = "room.deny";
inline constexpr std::string_view kRoomKick = "room.kick";
inline constexpr std::string_view kRoomJoin = "room.join";
inline constexpr std::string_view kRoomAttach = "room.attach";
inline constexpr std::string_view kRoomLeave = "room.leave";
inline constexpr std::string_view kCredentialIssued = "cred.issued";
inline constexpr std::string_view kMediaPath = "media.path";
inline constexpr std::string_view kMediaScreen = "media.screen_share";
inline constexpr std::string_view kMediaRecording = "media.recording_claimed";
inline constexpr std::string_view kAllocationOpen = "alloc.open";
inline constexpr std::string_view kAllocationClose = "alloc.close";
inline constexpr std::string_view kPeerDenied = "turn.peer_denied";
inline constexpr std::string_view kRelayDraining = "relay.draining";
inline constexpr std::string_view kLogin = "auth.login";
inline constexpr std::string_view kLogout = "auth.logout";
inline constexpr std::string_view kSessionTimeout = "auth.timeout";
inline constexpr std::string_view kSessionRevoked = "auth.session_revoked";
inline constexpr std::string_view kPasswordSet = "auth.password_set";
inline constexpr std::string_view kUserCreated = "user.created";
inline constexpr std::string_view kUserInvited = "user.invited";
inline constexpr std::string_view kUserDisabled = "user.disabled";
inline constexpr std::string_view kTokenCreated = "token.created";
inline constexpr std::string_view kTokenRevoked = "token.revoked";
inline constexpr std::string_view kHoldSet = "audit.hold_set";
inline constexpr std::string_view kHoldCleared = "audit.hold_cleared";
inline constexpr std::string_view kPurgeProposed = "audit.purge_proposed";
inline constexpr std::string_view kPurgeWithdrawn = "audit.purge_withdrawn";
inline constexpr std::string_view kPurged = "audit.purged";
inline constexpr std::string_view kAuditViewed = "audit.viewed";
inline constexpr std::string_view kWitnessCosigned = "witness.cosigned";
inline constexpr std::string_view kWitnessRefused = "witness.refused";
inline constexpr std::string_view kAuditExported = "audit.exported";
inline constexpr std::string_view kAuditVerified = "audit.verified";
inline constexpr std::string_view kBackupVerified = "backup.verified";
inline constexpr std::string_view kBackupFailed = "backup.failed";
inline constexpr std::string_view kLogRestored = "log.restored";
inline constexpr std::string_view kStorageLow = "storage.low";
inline constexpr std::string_view kStorageFull = "storage.full";
inline constexpr std::string_view kStorageRecovered = "storage.recovered";  // written by store/
inline constexpr std::string_view kEpochRotated = "epoch.rotated";          // written by store/

// Counted per minute and source (abuse_counters.h).
inline constexpr std::string_view kMalformed = "abuse.malformed";
inline constexpr std::string_view kRateLimited = "abuse.rate_limited";
inline constexpr std::string_view kWrongToken = "abuse.wrong_token";
inline constexpr std::string_view kTokenDenied = "token.used_denied";
inline constexpr std::string_view kOriginRejected = "abuse.origin_rejected";
inline constexpr std::string_view kCsrfRejected = "abuse.csrf_rejected";
inline constexpr std::string_view kLoginThrottled = "abuse.login_throttled";
inline constexpr std::string_view kLoginDenied = "abuse.login_denied";
inline constexpr std::string_view kTurnAuth = "abuse.turn_auth";
inline constexpr std::string_view kTurnQuota = "abuse.turn_quota";

// For the filter of the audit page.
inline constexpr std::array kAll = {kServiceStart,
                                    kServiceStop,
                                    kConfigChanged,
                                    kRoomCreated,
                                    kRoomEnded,
                                    kRoomExpired,
                                    kRoomJoin,
                                    kRoomAttach,
                                    kRoomLeave,
                                    kCredentialIssued,
                                    kAllocationOpen,
                                    kAllocationClose,
                                    kPeerDenied,
                                    kLogin,
                                    kLogout,
                                    kPasswordSet,
                                    kUserCreated,
                                    kAuditViewed,
                                    kStorageRecovered,
                                    kEpochRotated,
                                    kMalformed,
                                    kRateLimited,
                                    kWrongToken,
                                    kOriginRejected,
                                    kCsrfRejected,
                                    kLoginThrottled,
                                    kLoginDenied,
                                    kTurnAuth,
                                    kTurnQuota,
                                    kRoomLocked,
                                    kLinkIssued,
                                    kLinkDropped,
                                    kLinkOpened,
                                    kRoomKnock,
                                    kRoomAdmit,
                                    kRoomDeny,
                                    kRoomKick,
                                    kTokenCreated,
                                    kTokenRevoked,
                                    kTokenDenied,
                                    kCertificateRenewed,
                                    kWitnessCosigned,
                                    kWitnessRefused,
                                    kAuditExported,
                                    kBackupVerified,
                                    kBackupFailed,
                                    kLogRestored,
                                    kEmergencyOpened,
                                    kStorageLow,
                                    kStorageFull,
                                    kKeyRotated,
                                    kUserInvited,
                                    kUserDisabled,
                                    kHoldSet,
                                    kHoldCleared,
                                    kPurgeProposed,
                                    kPurgeWithdrawn,
                                    kPurged,
                                    kMediaPath,
                                    kMediaScreen,
                                    kMediaRecording,
                                    kServiceUpgrade,
                                    kTimeStep,
                                    kTimeUnsynced,
                                    kSessionTimeout,
                                    kAuditVerified,
                                    kSessionRevoked,
                                    kRelayDraining,
                                    kKeysGivenUp};

}  // namespace bedside::server::audit_type
