// SPDX-License-Identifier: MIT
// A device with ATS and PRI at a remapping unit: translations are kept and invalidated, pages are asked for.
#include <gtest/gtest.h>

#include <cstring>

#include <tlm_utils/simple_initiator_socket.h>

#include "tlm/soc/ats_endpoint.h"
#include "tlm/soc/dram.h"
#include "tlm/spec/descriptor.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/profiles.h"
#include "tlm/spec/structures.h"
#include "tlm/unit/simulation.h"

namespace vtd::soc {
namespace {

constexpr SourceId kDevice = make_source_id(0, 3, 0);
constexpr PhysAddr kRoot = 0x1000;
constexpr PhysAddr kContexts = 0x2000;
constexpr PhysAddr kDirectory = 0x4000;
constexpr PhysAddr kPasids = 0x5000;
constexpr PhysAddr kTable = 0x6000;  ///< four levels: 0x6000, 0x7000, 0x8000, 0x9000
constexpr PhysAddr kLeaves = 0x9000;
constexpr PhysAddr kQueue = 0x10000;
constexpr PhysAddr kRequests = 0x20000;
constexpr PhysAddr kStatus = 0x30000;
constexpr PhysAddr kData = 0x100000;
constexpr Iova kIova = 0x5000;

UnitConfig config() {
  UnitConfig c;
  c.profile = full_profile();
  c.dma_ports = {kDevice};
  c.timing.device_timeout = 10'000;
  return c;
}

/// Unit, memory, one device; scalable mode, second stage, PASID 0.
struct Bench : sc_core::sc_module {
  Bench(sc_core::sc_module_name name, const AtsEndpointConfig& device_config)
      : sc_module(name),
        unit("unit", config()),
        memory("memory", 16U << 20U, sc_core::sc_time(20, sc_core::SC_NS)),
        device("device", device_config, unit) {
    unit.memory.bind(memory.socket);
    device.dma.bind(unit.dma[0]);
    cpu.bind(unit.mmio);
    memory.poke(kRoot, kContexts | 1);
    memory.poke(kContexts + kDevice.devfn() * sctx::kBytes,
                kDirectory | sctx::kP.of(1) | sctx::kDTE.of(1) | sctx::kPRE.of(1));
    memory.poke(kDirectory, kPasids | 1);
    const auto type = static_cast<std::uint64_t>(PasidTranslation::kSecondStage);
    memory.poke(kPasids, kTable | pasid::kP.of(1) | pasid::kAW.of(2) | pasid::kPGTT.of(type));
    memory.poke(kPasids + 8, pasid::kDID.of(7));
    for (PhysAddr table = kTable; table < kLeaves; table += kPageSize) memory.poke(table, (table + kPageSize) | 3);
  }
  void map(Iova iova, PhysAddr page, std::uint64_t rights = 3) {
    memory.poke(kLeaves + level_index(iova, 1) * kEntryBytes, page | rights);
  }
  std::uint64_t reg(RegId id) { return unit.core().register_value(id); }
  void write(RegId id, std::uint64_t value) {
    tlm::tlm_generic_payload trans;
    trans.set_command(tlm::TLM_WRITE_COMMAND);
    trans.set_address(offset_of(id, unit.config().profile));
    trans.set_data_ptr(reinterpret_cast<unsigned char*>(&value));
    trans.set_data_length(info(id).bits / 8U);
    trans.set_streaming_width(info(id).bits / 8U);
    sc_core::sc_time delay;
    cpu->b_transport(trans, delay);
    ASSERT_TRUE(trans.is_response_ok());
  }
  void wait_for(const std::function<bool()>& condition) {
    for (unsigned i = 0; i < 10'000 && !condition(); ++i) wait(sc_core::sc_time(100, sc_core::SC_NS));
    ASSERT_TRUE(condition());
  }
  void command(const Field& bit) {
    write(RegId::kGCMD, (reg(RegId::kGSTS) & gcmd::kPersistent) | bit.mask());
    wait_for([&] { return bit.get(reg(RegId::kGSTS)) != 0; });
  }
  void enable() {
    write(RegId::kRTADDR, kRoot | rtaddr::kTTM.of(1));
    command(gcmd::kSRTP);
    write(RegId::kIQA, kQueue | iq::kDW.of(1));
    command(gcmd::kQIE);
    write(RegId::kPQA, kRequests);
    command(gcmd::kTE);
  }
  void submit(const descriptor::Entry& entry) {
    const std::uint64_t tail = iq::kQT.in_place(reg(RegId::kIQT));
    for (unsigned i = 0; i < entry.words.size(); ++i) memory.poke(kQueue + tail + i * 8, entry.words[i]);
    write(RegId::kIQT, tail + kDescriptorBytes256);
  }
  void submit_iotlb() {
    descriptor::Entry entry;
    submit(entry.set(descriptor::kTYPE, 2).set(descriptor::kG, 1));
  }
  void submit_device(Iova iova) {
    descriptor::Entry entry;
    namespace d = descriptor::device_tlb;
    submit(entry.set(descriptor::kTYPE, 3).set(d::kSID, kDevice.value).set_address(d::kADDR, iova));
  }
  void submit_wait(std::uint32_t value) {
    descriptor::Entry entry;
    namespace d = descriptor::wait;
    submit(entry.set(descriptor::kTYPE, 5)
               .set(d::kSW, 1)
               .set(d::kSTATUS_DATA, value)
               .set_address(d::kSTATUS_ADDR, kStatus));
  }
  void respond(std::uint16_t group, std::uint64_t code) {
    descriptor::Entry entry;
    namespace d = descriptor::page_group_response;
    submit(entry.set(descriptor::kTYPE, 9).set(d::kSID, kDevice.value).set(d::kRC, code).set(d::kPRGI, group));
  }
  void go(const std::function<void()>& body) {
    bool ended = false;
    sc_core::sc_spawn([&] {
      enable();
      body();
      ended = true;
    });
    vtd::run();
    EXPECT_TRUE(ended) << "the process never ended";
  }
  DmaOutcome write_word(Iova iova, std::uint64_t value) {
    std::array<std::uint8_t, 8> data{};
    std::memcpy(data.data(), &value, data.size());
    return device.access(iova, data.data(), data.size(), Access::kWrite);
  }

  RemappingUnit unit;
  Dram memory;
  AtsEndpoint device;
  tlm_utils::simple_initiator_socket<Bench> cpu{"cpu"};
};

AtsEndpointConfig device(bool page_requests = false) {
  AtsEndpointConfig c;
  c.source = kDevice;
  c.page_requests = page_requests;
  return c;
}

TEST(AtsEndpoint, KeepsTranslationsUntilTheyAreInvalidated) {
  Bench b("bench", device());
  b.map(kIova, kData);
  b.go([&] {
    EXPECT_TRUE(b.write_word(kIova, 1).ok);
    EXPECT_TRUE(b.write_word(kIova + 8, 2).ok);
    EXPECT_EQ(b.device.statistics().translation_requests, 1U);
    EXPECT_EQ(b.memory.peek(kData + 8), 2U);
    b.map(kIova, kData + kPageSize);
    EXPECT_TRUE(b.write_word(kIova, 3).ok);
    EXPECT_EQ(b.memory.peek(kData), 3U) << "stale: nobody invalidated";
    b.submit_iotlb();
    b.submit_device(kIova);
    b.submit_wait(0x55);
    b.wait_for([&] { return b.memory.peek(kStatus) == 0x55; });
    EXPECT_EQ(b.device.cached(), 0U);
    EXPECT_TRUE(b.write_word(kIova, 4).ok);
    EXPECT_EQ(b.memory.peek(kData + kPageSize), 4U);
    EXPECT_EQ(b.memory.peek(kData), 3U);
  });
}

TEST(AtsEndpoint, InvalidationOfAnotherPageLeavesTheTranslation) {
  Bench b("bench", device());
  b.map(kIova, kData);
  b.go([&] {
    EXPECT_TRUE(b.write_word(kIova, 1).ok);
    b.submit_device(kIova + kPageSize);
    b.submit_wait(1);
    b.wait_for([&] { return b.memory.peek(kStatus) == 1; });
    EXPECT_EQ(b.device.cached(), 1U);
  });
}

TEST(AtsEndpoint, LackingRightsAreAnsweredAndNotRecorded) {
  Bench b("bench", device());
  b.map(kIova, kData, 1);
  b.go([&] {
    std::uint64_t data = 0;
    EXPECT_FALSE(b.write_word(kIova, 1).ok);
    EXPECT_TRUE(b.device.access(kIova, reinterpret_cast<std::uint8_t*>(&data), 8, Access::kRead).ok);
    EXPECT_FALSE(b.write_word(kIova + kPageSize, 1).ok) << "not mapped";
    EXPECT_EQ(b.reg(RegId::kFSTS), 0U);
  });
}

TEST(AtsEndpoint, SilentDeviceTimesOutAndTheWaitIsAborted) {
  Bench b("bench", device());
  b.map(kIova, kData);
  b.go([&] {
    b.device.set_manners(AtsEndpointConfig::Manners::kSilent);
    b.submit_device(kIova);
    b.submit_wait(7);
    b.wait_for([&] { return fsts::kITE.get(b.reg(RegId::kFSTS)) != 0; });
    EXPECT_EQ(iq::kITESID.get(b.reg(RegId::kIQERCD)), kDevice.value);
    wait(sc_core::sc_time(50, sc_core::SC_US));
    EXPECT_EQ(b.memory.peek(kStatus), 0U);
    b.device.set_manners(AtsEndpointConfig::Manners::kGood);
    b.write(RegId::kFSTS, fsts::kITE.mask());
    b.submit_device(kIova);
    b.submit_wait(8);
    b.wait_for([&] { return b.memory.peek(kStatus) == 8; });
  });
}

TEST(AtsEndpoint, DeviceErrorSetsIceAndTheWaitCompletes) {
  Bench b("bench", device());
  b.go([&] {
    b.device.set_manners(AtsEndpointConfig::Manners::kErrors);
    b.submit_device(kIova);
    b.submit_wait(7);
    b.wait_for([&] { return b.memory.peek(kStatus) == 7; });
    EXPECT_EQ(fsts::kICE.get(b.reg(RegId::kFSTS)), 1U);
    EXPECT_EQ(iq::kICESID.get(b.reg(RegId::kIQERCD)), kDevice.value);
  });
}

TEST(AtsEndpoint, PageIsAskedForMappedAndWritten) {
  Bench b("bench", device(true));
  b.go([&] {
    sc_core::sc_spawn([&] {  // the software that serves page requests
      b.wait_for([&] { return prq::kPPR.get(b.reg(RegId::kPRS)) != 0; });
      EXPECT_EQ(b.memory.peek(kRequests), 1U | page_request::kRID.of(kDevice.value));
      EXPECT_EQ(b.memory.peek(kRequests + 8), kIova | 6U) << "W, LPIG, address";
      b.map(kIova, kData);
      b.write(RegId::kPQH, 32);
      b.write(RegId::kPRS, 1);
      b.respond(0, 0);
    });
    EXPECT_TRUE(b.write_word(kIova, 9).ok);
    EXPECT_EQ(b.memory.peek(kData), 9U);
    EXPECT_EQ(b.device.statistics().page_requests, 1U);
    EXPECT_EQ(b.device.statistics().page_responses, 1U);
  });
}

TEST(AtsEndpoint, RefusedPageRequestEndsTheAccess) {
  Bench b("bench", device(true));
  b.go([&] {
    sc_core::sc_spawn([&] {
      b.wait_for([&] { return prq::kPPR.get(b.reg(RegId::kPRS)) != 0; });
      b.respond(0, 1);
    });
    EXPECT_FALSE(b.write_word(kIova, 9).ok);
  });
}

}  // namespace
}  // namespace vtd::soc
