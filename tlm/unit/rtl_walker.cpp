// SPDX-License-Identifier: MIT
#include "tlm/unit/rtl_walker.h"

#include <verilated.h>
#include <verilated_fst_c.h>

#include <stdexcept>

#include "Vvtd_walker.h"

namespace vtd {
namespace {

// Everything of the trace hierarchy.
constexpr int kAllLevels = 99;

}  // namespace

struct RtlWalker::Impl {
  Impl(const WalkerConfig& c, std::uint32_t seed, const std::string& name) : config(c), model(&context, name.c_str()) {
    context.randReset(2);
    context.randSeed(static_cast<int>(seed));
    context.traceEverOn(true);
    context.fatalOnError(false);
  }

  /// The model's parts take leave of the thread's context, which is that of the model made last.
  ~Impl() { Verilated::threadContextp(&context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void set_profile() {
    model.haw_i = static_cast<CData>(config.host_address_width);
    model.superpage_2m_i = config.superpage_2m;
    model.superpage_1g_i = config.superpage_1g;
    model.snoop_control_i = config.snoop_control;
    model.device_tlb_i = config.device_tlb;
    model.zero_length_read_i = config.zero_length_read;
  }

  void drive(const WalkerInputs& in) {
    model.req_valid_i = in.request != nullptr;
    if (in.request != nullptr) {
      model.req_id_i = in.request->id;
      model.req_iova_i = in.request->iova;
      model.req_root_i = in.request->root;
      model.req_levels_i = in.request->levels;
      model.req_access_i = static_cast<CData>(in.request->access);
    }
    model.mem_rsp_valid_i = in.memory_response != nullptr;
    if (in.memory_response != nullptr) {
      model.mem_rsp_id_i = in.memory_response->id;
      model.mem_rsp_data_i = in.memory_response->data;
      model.mem_rsp_error_i = in.memory_response->error;
    }
    model.mem_req_ready_i = in.memory_ready;
    model.rsp_ready_i = in.response_ready;
  }

  [[nodiscard]] WalkResponse response() const {
    WalkResponse r;
    r.id = model.rsp_id_o;
    r.fault = static_cast<FaultReason>(model.rsp_fault_o);
    r.level = model.rsp_level_o;
    r.reads = model.rsp_reads_o;
    if (r.fault != FaultReason::kNone) return r;
    r.page = model.rsp_page_o;
    r.readable = model.rsp_readable_o != 0;
    r.writable = model.rsp_writable_o != 0;
    r.snoop = model.rsp_snoop_o != 0;
    r.transient = model.rsp_transient_o != 0;
    return r;
  }

  /// The inputs have been driven: shows them during the low half of the clock, that is half a period before their
  /// edge, so that a handshake can be read in the wave at the rising edge at which it happens. The clock stays
  /// high while no edge is performed.
  void settle() {
    model.clk_i = 0;
    model.eval();
    if (waves == nullptr) return;
    const std::uint64_t edge = edge_ps();
    if (edge >= period_ps / 2) waves->dump_rtl(edge - period_ps / 2);
  }

  void edge() {
    context.timeInc(1);
    model.clk_i = 1;
    model.eval();
    if (waves != nullptr) waves->dump_rtl(edge_ps());
    if (context.gotError()) throw std::logic_error("an assertion in the RTL walker failed; its message is above");
  }

  WalkerConfig config;
  VerilatedContext context;
  Vvtd_walker model;
  WaveFile* waves = nullptr;
  std::function<std::uint64_t()> edge_ps;
  std::uint64_t period_ps = 0;
};

RtlWalker::RtlWalker(const WalkerConfig& config, std::uint32_t seed, const std::string& name)
    : impl_(std::make_unique<Impl>(config, seed, name)) {
  reset();
}
RtlWalker::~RtlWalker() {
  impl_->model.final();
}

void RtlWalker::set_waves(WaveFile& waves, std::function<std::uint64_t()> edge_ps, std::uint64_t period_ps) {
  impl_->edge_ps = std::move(edge_ps);
  impl_->period_ps = period_ps;
  waves.attach([this, &waves](void* file) {
    impl_->model.trace(static_cast<VerilatedFstC*>(file), kAllLevels);
    impl_->waves = &waves;
  });
}

unsigned RtlWalker::capacity() const {
  return VTD_RTL_WALKS;
}

void RtlWalker::reset() {
  Vvtd_walker& m = impl_->model;
  impl_->set_profile();
  impl_->drive({.request = nullptr, .memory_response = nullptr, .memory_ready = false, .response_ready = false});
  // An edge of reset, without waves: it takes no time.
  Verilated::threadContextp(&impl_->context);
  m.clk_i = 0;
  m.rst_ni = 1;
  m.eval();
  m.rst_ni = 0;
  m.eval();
  m.clk_i = 1;
  m.eval();
  m.clk_i = 0;
  m.eval();
  m.rst_ni = 1;
  m.eval();
}

WalkerOutputs RtlWalker::cycle(const WalkerInputs& in) {
  Vvtd_walker& m = impl_->model;
  Verilated::threadContextp(&impl_->context);  // assertions report to the context of the thread
  impl_->drive(in);
  impl_->settle();
  WalkerOutputs out;
  out.request_accepted = in.request != nullptr && m.req_ready_o != 0;
  if (m.mem_req_valid_o != 0) out.memory_request = MemoryRequest{m.mem_req_id_o, m.mem_req_addr_o};
  if (m.rsp_valid_o != 0) out.response = impl_->response();
  impl_->edge();
  return out;
}

bool RtlWalker::quiescent() const {
  return impl_->model.quiescent_o != 0;
}
bool RtlWalker::idle() const {
  return impl_->model.idle_o != 0;
}

}  // namespace vtd
