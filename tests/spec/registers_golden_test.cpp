// SPDX-License-Identifier: MIT
// Offsets, fields and resets of the register map, transcribed by hand from the architecture: nothing here is computed
// from tlm/spec. Raw numbers are wanted in this file and in formats_golden_test.cpp, and nowhere else.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>

#include "tlm/spec/registers.h"

namespace vtd::test {
namespace {

struct Row {
  const char* name;
  unsigned offset;
  unsigned bits;
};

TEST(Registers, StandAtTheirOffsetsWithTheirWidths) {
  constexpr Row kRows[] = {{"VER", 0x00, 32},           {"CAP", 0x08, 64},           {"ECAP", 0x10, 64},
                           {"GCMD", 0x18, 32},          {"GSTS", 0x1C, 32},          {"RTADDR", 0x20, 64},
                           {"CCMD", 0x28, 64},          {"FSTS", 0x34, 32},          {"FECTL", 0x38, 32},
                           {"FEDATA", 0x3C, 32},        {"FEADDR", 0x40, 32},        {"FEUADDR", 0x44, 32},
                           {"AFLOG", 0x58, 64},         {"PMEN", 0x64, 32},          {"PLMBASE", 0x68, 32},
                           {"PLMLIMIT", 0x6C, 32},      {"PHMBASE", 0x70, 64},       {"PHMLIMIT", 0x78, 64},
                           {"IQH", 0x80, 64},           {"IQT", 0x88, 64},           {"IQA", 0x90, 64},
                           {"ICS", 0x9C, 32},           {"IECTL", 0xA0, 32},         {"IEDATA", 0xA4, 32},
                           {"IEADDR", 0xA8, 32},        {"IEUADDR", 0xAC, 32},       {"IQERCD", 0xB0, 64},
                           {"IRTA", 0xB8, 64},          {"PQH", 0xC0, 64},           {"PQT", 0xC8, 64},
                           {"PQA", 0xD0, 64},           {"PRS", 0xDC, 32},           {"PECTL", 0xE0, 32},
                           {"PEDATA", 0xE4, 32},        {"PEADDR", 0xE8, 32},        {"PEUADDR", 0xEC, 32},
                           {"PERFCAP", 0x300, 64},      {"PERFCFGOFF", 0x310, 32},   {"PERFOVFOFF", 0x318, 32},
                           {"PERFCNTROFF", 0x31C, 32},  {"PERFINTRSTS", 0x324, 32},  {"PERFINTRCTL", 0x328, 32},
                           {"PERFINTRDATA", 0x32C, 32}, {"PERFINTRADDR", 0x330, 32}, {"PERFINTRUADDR", 0x334, 32},
                           {"PERFEVNTCAP", 0x380, 64},  {"ECMD", 0x400, 64},         {"ECEO", 0x408, 64},
                           {"ECRSP", 0x410, 64},        {"ECCAP0", 0x430, 64},       {"ECCAP1", 0x438, 64},
                           {"ECCAP2", 0x440, 64},       {"ECCAP3", 0x448, 64}};
  std::map<std::string, Row> rows;
  for (const Row& r : kRows) rows[r.name] = r;
  std::size_t placed = 0;
  for (const Register& r : kRegisters) {
    if (r.offset == Register::kPlaced) {
      ++placed;
      continue;
    }
    ASSERT_EQ(rows.count(r.name), 1U) << r.name << " is not in the transcription";
    EXPECT_EQ(r.offset, rows[r.name].offset) << r.name;
    EXPECT_EQ(r.bits, rows[r.name].bits) << r.name;
    rows.erase(r.name);
  }
  EXPECT_TRUE(rows.empty()) << "missing in tlm/spec: " << rows.begin()->first;
  EXPECT_EQ(placed, 2U) << "IVA and IOTLB are placed by ECAP.IRO";
}

TEST(Registers, InvalidateAndFaultRegistersStandWhereTheCapabilitiesSay) {
  Profile p;
  p.iotlb_offset = 0xF0;
  p.fault_record_offset = 0x220;
  p.fault_records = 1;
  EXPECT_EQ(offset_of(RegId::kIVA, p), 0xF0U);
  EXPECT_EQ(offset_of(RegId::kIOTLB, p), 0xF8U);
  EXPECT_EQ(iva_offset(ecap_value(p)), 0xF0U);
  EXPECT_EQ(frcd_offset(cap_value(p)), 0x220U);
  EXPECT_EQ(frcd_count(cap_value(p)), 1U);
}

using Bits = std::tuple<const char*, unsigned, unsigned, RegAccess>;
void expect_fields(RegId id, std::initializer_list<Bits> expected) {
  const Register& r = info(id);
  ASSERT_EQ(r.fields.size(), expected.size()) << r.name;
  std::size_t i = 0;
  for (const auto& [name, hi, lo, access] : expected) {
    const RegField& f = r.fields[i++];
    EXPECT_STREQ(f.field.name, name) << r.name;
    EXPECT_EQ(f.field.hi, hi) << r.name << '.' << name;
    EXPECT_EQ(f.field.lo, lo) << r.name << '.' << name;
    EXPECT_EQ(f.access, access) << r.name << '.' << name;
  }
}

TEST(Registers, FieldsHaveTheirBitsAndAccess) {
  using enum RegAccess;
  expect_fields(RegId::kVER, {{"MAX", 7, 4, kRO}, {"MIN", 3, 0, kRO}});
  expect_fields(RegId::kGCMD, {{"TE", 31, 31, kWO},
                               {"SRTP", 30, 30, kWO},
                               {"SFL", 29, 29, kWO},
                               {"EAFL", 28, 28, kWO},
                               {"WBF", 27, 27, kWO},
                               {"QIE", 26, 26, kWO},
                               {"IRE", 25, 25, kWO},
                               {"SIRTP", 24, 24, kWO},
                               {"CFI", 23, 23, kWO}});
  expect_fields(RegId::kGSTS, {{"TES", 31, 31, kRO},
                               {"RTPS", 30, 30, kRO},
                               {"FLS", 29, 29, kRO},
                               {"AFLS", 28, 28, kRO},
                               {"WBFS", 27, 27, kRO},
                               {"QIES", 26, 26, kRO},
                               {"IRES", 25, 25, kRO},
                               {"IRTPS", 24, 24, kRO},
                               {"CFIS", 23, 23, kRO}});
  expect_fields(RegId::kRTADDR, {{"RTA", 63, 12, kRW}, {"TTM", 11, 10, kRW}});
  expect_fields(RegId::kCCMD, {{"ICC", 63, 63, kRW},
                               {"CIRG", 62, 61, kRW},
                               {"CAIG", 60, 59, kRO},
                               {"FM", 33, 32, kWO},
                               {"SID", 31, 16, kWO},
                               {"DID", 15, 0, kRW}});
  expect_fields(RegId::kFSTS, {{"PFO", 0, 0, kRW1CS},
                               {"PPF", 1, 1, kROS},
                               {"AFO", 2, 2, kRO},
                               {"APF", 3, 3, kRO},
                               {"IQE", 4, 4, kRW1CS},
                               {"ICE", 5, 5, kRW1CS},
                               {"ITE", 6, 6, kRW1CS},
                               {"PRO", 7, 7, kRO},
                               {"FRI", 15, 8, kROS}});
  for (const RegId id : {RegId::kFECTL, RegId::kIECTL, RegId::kPECTL})
    expect_fields(id, {{"IM", 31, 31, kRW}, {"IP", 30, 30, kRO}});
  expect_fields(RegId::kPMEN, {{"EPM", 31, 31, kRW}, {"PRS", 0, 0, kRO}});
  expect_fields(RegId::kIQH, {{"QH", 18, 4, kRO}});
  expect_fields(RegId::kIQT, {{"QT", 18, 4, kRW}});
  expect_fields(RegId::kIQA, {{"IQA", 63, 12, kRW}, {"DW", 11, 11, kRW}, {"QS", 2, 0, kRW}});
  expect_fields(RegId::kICS, {{"IWC", 0, 0, kRW1CS}});
  expect_fields(RegId::kIQERCD, {{"ICESID", 63, 48, kROS}, {"ITESID", 47, 32, kROS}, {"IQEI", 3, 0, kROS}});
  expect_fields(RegId::kIRTA, {{"IRTA", 63, 12, kRW}, {"EIME", 11, 11, kRW}, {"S", 3, 0, kRW}});
  expect_fields(RegId::kPQA, {{"PQA", 63, 12, kRW}, {"PQS", 2, 0, kRW}});
  expect_fields(RegId::kPRS, {{"PPR", 0, 0, kRW1CS}, {"PRO", 1, 1, kRW1CS}});
  expect_fields(RegId::kIVA, {{"ADDR", 63, 12, kWO}, {"IH", 6, 6, kWO}, {"AM", 5, 0, kWO}});
  expect_fields(RegId::kIOTLB, {{"IVT", 63, 63, kRW},
                                {"IIRG", 61, 60, kRW},
                                {"IAIG", 58, 57, kRO},
                                {"DR", 49, 49, kRW},
                                {"DW", 48, 48, kRW},
                                {"DID", 47, 32, kRW}});
}

TEST(Registers, OnlyInterruptMasksComeUpSet) {
  for (const Register& r : kRegisters)
    for (const RegField& f : r.fields)
      EXPECT_EQ(f.reset, std::string_view(f.field.name) == "IM" ? 1U : 0U) << r.name << '.' << f.field.name;
}

TEST(Registers, OneShotCommandsAreKnown) {
  EXPECT_EQ(gcmd::kOneShot, 0x6900'0000U);     // SRTP, SFL, WBF, SIRTP
  EXPECT_EQ(gcmd::kPersistent, 0x9680'0000U);  // TE, EAFL, QIE, IRE, CFI
}

TEST(Capability, RegistersOfTheLinuxProfile) {
  // ND 6 (16 bits), SAGAW 39/48/57, MGAW 57, ZLR, FRO 0x60, 2M and 1G, PSI, 8 records, MAMV 18, DWD, DRD.
  EXPECT_EQ(cap_value(Profile{}), 0x00D2'078C'6078'0E06U);
  // C, QI, PT, SC, IRO 0x50.
  EXPECT_EQ(ecap_value(Profile{}), 0x0000'0000'0000'50C3U);
  EXPECT_EQ(domains_of_cap(0x6), 65536U);
  EXPECT_EQ(domains_of_cap(0x2), 256U);
}

TEST(Capability, FieldsHaveTheirBits) {
  const std::map<std::string, std::pair<unsigned, unsigned>> cap_bits{
      {"ND", {2, 0}},        {"AFL", {3, 3}},     {"RWBF", {4, 4}},   {"PLMR", {5, 5}},    {"PHMR", {6, 6}},
      {"CM", {7, 7}},        {"SAGAW", {12, 8}},  {"MGAW", {21, 16}}, {"ZLR", {22, 22}},   {"FRO", {33, 24}},
      {"SSLPS", {37, 34}},   {"PSI", {39, 39}},   {"NFR", {47, 40}},  {"MAMV", {53, 48}},  {"DWD", {54, 54}},
      {"DRD", {55, 55}},     {"FS1GP", {56, 56}}, {"PI", {59, 59}},   {"FS5LP", {60, 60}}, {"ECMDS", {61, 61}},
      {"ESIRTPS", {62, 62}}, {"ESRTPS", {63, 63}}};
  const std::map<std::string, std::pair<unsigned, unsigned>> ecap_bits{
      {"C", {0, 0}},        {"QI", {1, 1}},    {"DT", {2, 2}},      {"IR", {3, 3}},     {"EIM", {4, 4}},
      {"PT", {6, 6}},       {"SC", {7, 7}},    {"IRO", {17, 8}},    {"MHMV", {23, 20}}, {"MTS", {25, 25}},
      {"NEST", {26, 26}},   {"PRS", {29, 29}}, {"ERS", {30, 30}},   {"SRS", {31, 31}},  {"NWFS", {33, 33}},
      {"EAFS", {34, 34}},   {"PSS", {39, 35}}, {"PASID", {40, 40}}, {"DIT", {41, 41}},  {"PDS", {42, 42}},
      {"SMTS", {43, 43}},   {"VCS", {44, 44}}, {"SSADS", {45, 45}}, {"SSTS", {46, 46}}, {"FSTS", {47, 47}},
      {"SMPWCS", {48, 48}}, {"RPS", {49, 49}}, {"PMS", {51, 51}},   {"ADMS", {52, 52}}, {"RPRIVS", {53, 53}}};
  const auto check = [](const auto& fields, const auto& bits) {
    EXPECT_EQ(std::size(fields), bits.size());
    for (const Field& f : fields) {
      ASSERT_EQ(bits.count(f.name), 1U) << f.name;
      EXPECT_EQ(bits.at(f.name), std::pair(unsigned{f.hi}, unsigned{f.lo})) << f.name;
    }
  };
  check(cap::kAll, cap_bits);
  check(ecap::kAll, ecap_bits);
}

}  // namespace
}  // namespace vtd::test
