// SPDX-License-Identifier: MIT
#include "tlm/unit/dma_path.h"

#include <algorithm>

#include "tlm/unit/simulation.h"

namespace vtd {
namespace {

Access access_of(const tlm::tlm_generic_payload& trans, const DmaExtension* extension) {
  if (extension != nullptr && extension->zero_length) return Access::kZeroLengthRead;
  return trans.get_command() == tlm::TLM_WRITE_COMMAND ? Access::kWrite : Access::kRead;
}

/// Bytes from `address` to the end of its page, at most `left`.
std::size_t piece_size(Iova address, std::size_t left) {
  return std::min<std::size_t>(left, kPageSize - (address & (kPageSize - 1)));
}

/// The byte enables of [offset, offset + length); they repeat along the transaction.
std::vector<unsigned char> enables_of(const tlm::tlm_generic_payload& trans, std::size_t offset, std::size_t length) {
  std::vector<unsigned char> result;
  const unsigned char* enables = trans.get_byte_enable_ptr();
  const std::size_t period = trans.get_byte_enable_length();
  if (enables == nullptr || period == 0) return result;
  result.reserve(length);
  for (std::size_t i = 0; i < length; ++i) result.push_back(enables[(offset + i) % period]);
  return result;
}

bool is_message(const DmaRequest& request, const Translation& translation) {
  return request.access == Access::kWrite && !translation.remapped && in_interrupt_range(translation.address);
}

}  // namespace

// ---- transactions ------------------------------------------------------------------------------------------------

void DmaPath::transport(std::size_t port, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  const auto whole = whole_request(port, trans);
  if (!whole) return;
  LocalTime time(delay, local_mode(), whole->source);
  const sc_core::sc_time begin = time.now();
  if (config_.mode == TimingMode::kCycleTrue) time.align(config_.timing.period_ps);
  move(*whole, trans, time);
  SourceStatistics& source = statistics_.sources[whole->source];
  ++source.transactions;
  source.latency.add(to_ps(time.now() - begin) / config_.timing.period_ps);
}

std::optional<DmaRequest> DmaPath::whole_request(std::size_t port, tlm::tlm_generic_payload& trans) {
  const auto* extension = trans.get_extension<DmaExtension>();
  const bool zero_length = extension != nullptr && extension->zero_length;
  const auto refuse = [&](tlm::tlm_response_status status, std::uint64_t& counter) {
    trans.set_response_status(status);
    ++counter;
    return std::nullopt;
  };
  if (trans.get_command() == tlm::TLM_IGNORE_COMMAND || (zero_length && trans.is_write()))
    return refuse(tlm::TLM_COMMAND_ERROR_RESPONSE, statistics_.refused.dma_command);
  const bool empty = trans.get_data_length() == 0 || trans.get_data_ptr() == nullptr;
  if (!zero_length && (empty || trans.get_streaming_width() < trans.get_data_length()))
    return refuse(tlm::TLM_BURST_ERROR_RESPONSE, statistics_.refused.dma_size);
  const auto source = source_of(port, extension);
  if (!source) return refuse(tlm::TLM_GENERIC_ERROR_RESPONSE, statistics_.refused.dma_no_source);

  DmaRequest request{.source = *source, .address = trans.get_address(), .access = access_of(trans, extension)};
  if (extension != nullptr) {
    request.type = extension->type;
    request.pasid = extension->pasid;
    request.privileged = extension->privileged;
    request.execute = extension->execute;
  }
  request.length = zero_length ? 0 : trans.get_data_length();
  return request;
}

std::optional<SourceId> DmaPath::source_of(std::size_t port, const DmaExtension* extension) const {
  if (config_.dma_ports[port]) return config_.dma_ports[port];
  return extension != nullptr ? std::optional(extension->source) : std::nullopt;
}

void DmaPath::move(const DmaRequest& whole, tlm::tlm_generic_payload& trans, LocalTime& time) {
  auto* extension = trans.get_extension<DmaExtension>();
  std::size_t offset = 0;
  do {
    Piece piece;
    piece.request = whole;
    piece.request.address = whole.address + offset;
    const std::size_t length = piece_size(piece.request.address, whole.length - offset);
    piece.request.length = static_cast<std::uint32_t>(length);
    piece.data = std::span(trans.get_data_ptr() + offset, length);
    auto enables = enables_of(trans, offset, length);
    piece.byte_enables = enables;
    if (piece.request.access == Access::kWrite && length == sizeof(std::uint32_t) && enables.empty()) {
      std::uint32_t data = 0;
      std::memcpy(&data, piece.data.data(), sizeof data);
      piece.request.data = data;
    }
    const auto status = move_piece(piece, extension, time);
    trans.set_response_status(status);
    if (status != tlm::TLM_OK_RESPONSE) return;
    offset += length;
  } while (offset < whole.length);
}

tlm::tlm_response_status DmaPath::move_piece(const Piece& piece, DmaExtension* extension, LocalTime& time) {
  Ticket ticket = core_.accept(piece.request);
  const auto translation = [&] {
    const HostAdapter::Entry entry(host_, time);
    return core_.translate(ticket);
  }();
  if (extension != nullptr) {
    extension->fault = translation ? FaultReason::kNone : translation.fault().reason;
    extension->translation = translation ? std::optional(*translation) : std::nullopt;
  }
  if (!translation) return tlm::TLM_ADDRESS_ERROR_RESPONSE;
  return forward(piece, *translation, time);
}

tlm::tlm_response_status DmaPath::forward(const Piece& piece, const Translation& translation, LocalTime& time) {
  const DmaRequest& request = piece.request;
  time.spend(host_.cycles(config_.timing.dma_forward));
  const bool moves_data = request.access != Access::kZeroLengthRead && request.type != AddressType::kTranslationRequest;
  if (!moves_data) return tlm::TLM_OK_RESPONSE;
  if (translation.interrupt) return send_interrupt(translation, request.source, time);
  MemoryAccess access;
  access.command = request.access == Access::kWrite ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND;
  access.address = translation.address;
  access.data = piece.data;
  access.byte_enables = piece.byte_enables;
  access.kind = is_message(request, translation) ? MemoryKind::kMessage : MemoryKind::kDma;
  access.source = request.source;
  access.iova = request.address;
  access.pasid = request.pasid;
  access.translated = request.type == AddressType::kTranslated;
  const auto status = memory_.access(access, time.delay());
  if (config_.mode == TimingMode::kCycleTrue) time.synchronise();
  if (status != tlm::TLM_OK_RESPONSE) return status;
  SourceStatistics& source = statistics_.sources[request.source];
  (request.access == Access::kWrite ? source.bytes_written : source.bytes_read) += piece.data.size();
  return status;
}

tlm::tlm_response_status DmaPath::send_interrupt(const Translation& translation, SourceId source, LocalTime& time) {
  if (!translation.message) return tlm::TLM_OK_RESPONSE;  // posted, nobody to notify
  InterruptMessage message = *translation.message;
  MemoryAccess access;
  access.command = tlm::TLM_WRITE_COMMAND;
  access.address = message.address;
  access.data = std::span(reinterpret_cast<unsigned char*>(&message.data), sizeof message.data);
  access.kind = MemoryKind::kMessage;
  access.source = source;
  const auto status = memory_.access(access, time.delay());
  if (config_.mode == TimingMode::kCycleTrue) time.synchronise();
  return status;
}

// ---- looks that change nothing -----------------------------------------------------------------------------------

unsigned DmaPath::debug(std::size_t port, tlm::tlm_generic_payload& trans) {
  const auto* extension = trans.get_extension<DmaExtension>();
  const auto source = source_of(port, extension);
  if (!source || trans.get_command() == tlm::TLM_IGNORE_COMMAND || trans.get_data_ptr() == nullptr) return 0;
  const ReadFunction read = [this](PhysAddr address, std::span<std::uint64_t> out) {
    const std::span data(reinterpret_cast<unsigned char*>(out.data()), out.size_bytes());
    return memory_.debug({.address = address, .data = data}) == data.size();
  };
  const std::size_t total = trans.get_data_length();
  std::size_t done = 0;
  while (done < total) {
    const Iova address = trans.get_address() + done;
    const std::size_t length = piece_size(address, total - done);
    DmaRequest request{.source = *source, .address = address, .length = static_cast<std::uint32_t>(length)};
    request.access = trans.is_write() ? Access::kWrite : Access::kRead;
    if (extension != nullptr) request.pasid = extension->pasid;
    if (extension != nullptr) {
      request.type = extension->type;
      request.privileged = extension->privileged;
      request.execute = extension->execute;
    }
    const auto translation = core_.debug_translate(request, read);
    if (!translation) break;
    const unsigned moved = memory_.debug({.command = trans.get_command(),
                                          .address = translation->address,
                                          .data = std::span(trans.get_data_ptr() + done, length),
                                          .kind = MemoryKind::kDma,
                                          .source = *source,
                                          .iova = address});
    done += moved;
    if (moved != length) break;
  }
  return static_cast<unsigned>(done);
}

bool DmaPath::direct(std::size_t port, tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi) {
  const Iova address = trans.get_address();
  const Iova page_of_refusal = align_down(address, kPageSize);
  dmi.init();
  dmi.set_start_address(page_of_refusal);
  dmi.set_end_address(page_of_refusal + (kPageSize - 1));
  const auto* extension = trans.get_extension<DmaExtension>();
  const bool plain = extension == nullptr || (!extension->pasid && extension->type == AddressType::kUntranslated);
  if (!config_.dmi || !direct_allowed_ || config_.mode == TimingMode::kCycleTrue || !config_.dma_ports[port] || !plain)
    return false;
  DmaRequest request{.source = *config_.dma_ports[port], .address = address, .length = 1};
  request.access = trans.is_write() ? Access::kWrite : Access::kRead;
  const auto translation = core_.probe(request);
  if (!translation) return false;
  tlm::tlm_dmi inner;
  if (!memory_.direct(trans.get_command(), translation->address, inner)) return false;

  // The part of the page that memory's own grant covers, seen from the device.
  const PhysAddr page = align_down(translation->address, translation->page_size);
  const PhysAddr first = std::max<PhysAddr>(page, inner.get_start_address());
  const PhysAddr last = std::min<PhysAddr>(page + (translation->page_size - 1), inner.get_end_address());
  if (first > translation->address || last < translation->address) return false;
  const Iova base = align_down(address, translation->page_size);
  dmi.set_start_address(base + (first - page));
  dmi.set_end_address(base + (last - page));
  dmi.set_dmi_ptr(inner.get_dmi_ptr() + (first - inner.get_start_address()));
  const Timing& t = config_.timing;
  const sc_core::sc_time lookup = host_.cycles(t.context_lookup + t.iotlb_lookup + t.dma_forward);
  dmi.set_read_latency(inner.get_read_latency() + lookup);
  dmi.set_write_latency(inner.get_write_latency() + lookup);
  const bool read = translation->readable && inner.is_read_allowed();
  const bool write = translation->writable && inner.is_write_allowed();
  if (trans.is_write() ? !write : !read) return false;
  if (read) dmi.allow_read();
  if (write) dmi.allow_write();
  if (read && write) dmi.allow_read_write();
  granted_[port] = Granted::kSomething;
  ++statistics_.dmi_grants;
  return true;
}

void DmaPath::revoke(const std::function<void(std::size_t port)>& invalidate) {
  std::uint64_t reached = 0;
  for (std::size_t port = 0; port < granted_.size(); ++port) {
    if (granted_[port] == Granted::kNothing) continue;
    granted_[port] = Granted::kNothing;
    invalidate(port);
    ++reached;
  }
  if (reached > 0) ++statistics_.dmi_revocations;
}

}  // namespace vtd
