#define CAF_SUITE olap_framing

#include "olap/city_hash.hpp"
#include "olap/decoder.hpp"
#include "olap/encoder.hpp"
#include "olap/native_lz4.hpp"
#include "olap/sha256.hpp"
#include "test/unit/pieces.hpp"

#include <caf/test/dsl.hpp>

#include <cstring>
#include <random>
#include <zstd.h>

using namespace millrace::olap;
using millrace::test::pieces;

namespace {

struct vector_entry {
  size_t size;
  uint64_t low;
  uint64_t high;
};

// Of PyPI's clickhouse-cityhash, over the bytes (7 i + 3) mod 256.
constexpr vector_entry vectors[] = {
  {0, 0x3df09dfc64c09a2b, 0x3cb540c392e51e29},
  {1, 0x39379490ccb55d55, 0x2af2b13064cd571f},
  {3, 0x3108fa6b1da16986, 0x32301bf0c250612d},
  {4, 0x2321e75aee8d6c41, 0xcea6b327f605358d},
  {7, 0x9ef90f69597e95c7, 0x4987956c9782ee8f},
  {8, 0xb6ad7c9a5953432f, 0x9f0e02109921888c},
  {9, 0x5601ccf1e058519a, 0xf8512fca28333fef},
  {15, 0x5a8299d8ab8f2f47, 0x8ea0a478a90d3277},
  {16, 0x21e79cab7f9c2b79, 0xa35615c235313f7a},
  {17, 0x0cd5bb13faea6e4c, 0x32bf719178f6bbfe},
  {24, 0x11cc4c88526863b8, 0x3292188780f057f0},
  {31, 0x6e4f70325ec27ffc, 0x9a23a7e9f0b515e0},
  {32, 0x67cfab8404eec7e9, 0x80cd3c27f5bd61ee},
  {33, 0x094bbf1d5b6ddb61, 0x10572bd58efa7aaf},
  {48, 0x1bae09b8435c660d, 0xa281faacdbab77b6},
  {64, 0xd412d58ec1432aef, 0x5754630cbbd83214},
  {100, 0xe8ed256df7c36d77, 0x5da4e59606ec0c52},
  {127, 0x1f1c2a3c62829942, 0x5d5820604b01deea},
  {128, 0x11d00b10d6694d31, 0x108fb9e5b83fdff4},
  {129, 0x2d35c46459e9ead8, 0x59a6f805bd0fca54},
  {143, 0x201689145f2ebee2, 0xdf56bd91c3fb4dd0},
  {144, 0xd639167b9b85767d, 0x07a10bf4573107c6},
  {145, 0xde654d669366fc2a, 0xd2f68f547b37d6f5},
  {160, 0xf6b778a5c179adff, 0xf27668b26f450ab4},
  {200, 0x6bfc6588f8397554, 0xe3706db480814454},
  {255, 0x217ad8cf08bbe4ca, 0x1a5bb4038d2f32ff},
  {256, 0x86696dd596ccf44b, 0x9fd9b2b0b79abdae},
  {257, 0x4c0f04d65e42e7f6, 0xc30ba57bcbd666f6},
  {300, 0xd6306a0c4528ae11, 0x37c2e51cab2517ef},
  {384, 0xbb173c2dc6941332, 0x943a81901ce1389f},
  {500, 0xb1fcba64236f70c0, 0x88f563a094b85def},
  {1000, 0x984b538c7b372373, 0xf6e6cbc56b688720},
};

std::string pattern(size_t n) {
  std::string x;
  for (size_t i = 0; i < n; ++i)
    x += static_cast<char>((i * 7 + 3) % 256);
  return x;
}

/// Half of it can be compressed.
std::string sample(size_t n) {
  std::mt19937 random{42};
  std::string x;
  while (x.size() < n)
    x += x.size() / 1000 % 2 == 0 ? 'x' : static_cast<char>(random());
  return x;
}

/// Everything that a source gives; the error's code behind "error ".
std::string read_all(byte_source& in) {
  std::string result;
  for (;;) {
    auto x = in.next();
    if (!x)
      return "error " + std::to_string(in.error().code);
    if (x->empty())
      return result;
    result.append(*x);
  }
}

std::string
encode(std::unique_ptr<encoder> x, std::string_view text, size_t piece) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    x->put(text.substr(0, piece), out);
  x->finish(out);
  return out;
}

} // namespace

CAF_TEST(the hash of blocks is CityHash128 of version 1.0.2) {
  auto data = pattern(1000);
  for (auto& x : vectors)
    CAF_CHECK(city_hash_128({data.data(), x.size}) == (hash128{x.low, x.high}));
}

CAF_TEST(a block starts with hash method and sizes) {
  std::string block;
  native_block::append(block, std::string(100'000, 'a'));
  native_block::header head;
  CAF_REQUIRE(!native_block::read_header(block, head));
  CAF_CHECK(head.how == native_block::method::lz4);
  CAF_CHECK_EQUAL(head.plain, 100'000u);
  CAF_CHECK_EQUAL(head.compressed + native_block::header_size, block.size());
  CAF_CHECK_LESS(block.size(), 1000u);
}

CAF_TEST(blocks come back whatever the pieces are) {
  for (size_t n : {0u, 1u, 1000u, 1u << 20, (1u << 20) + 1, 3'000'000u}) {
    auto text = sample(n);
    for (size_t piece : {700'000u, 1u << 20, 5'000'000u}) {
      auto packed = encode(make_block_encoder(), text, piece);
      pieces in{packed, 10'007};
      auto decoder = make_block_decoder(in);
      CAF_CHECK(read_all(*decoder) == text);
    }
  }
}

CAF_TEST(blocks of the methods none and zstd are read) {
  auto text = sample(5000);
  std::string zstd(ZSTD_compressBound(text.size()), '\0');
  zstd.resize(
    ZSTD_compress(zstd.data(), zstd.size(), text.data(), text.size(), 1));
  for (auto& [how, body] : {std::pair{0x02, text}, std::pair{0x90, zstd}}) {
    std::string block(native_block::header_size, '\0');
    auto size = static_cast<uint32_t>(body.size() + 9);
    auto plain = static_cast<uint32_t>(text.size());
    block[16] = static_cast<char>(how);
    std::memcpy(block.data() + 17, &size, 4);
    std::memcpy(block.data() + 21, &plain, 4);
    block += body;
    auto hash = city_hash_128(std::string_view{block}.substr(16));
    std::memcpy(block.data(), &hash, 16);
    pieces in{block, 999};
    auto decoder = make_block_decoder(in);
    CAF_CHECK(read_all(*decoder) == text);
  }
}

CAF_TEST(broken blocks are errors) {
  std::string block;
  native_block::append(block, sample(3000));
  auto read = [](const std::string& text) {
    pieces in{text, 1000};
    auto decoder = make_block_decoder(in);
    return read_all(*decoder);
  };
  auto changed = block;
  changed[100] ^= 1;
  CAF_CHECK_EQUAL(read(changed), "error 40");
  changed = block;
  changed[16] = 0x33;
  CAF_CHECK_EQUAL(read(changed), "error 89");
  changed = block;
  changed[20] = 0x7f; // a block of 2 GB
  CAF_CHECK_EQUAL(read(changed), "error 128");
  for (size_t n = 1; n < block.size(); n += 97)
    CAF_CHECK_EQUAL(read(block.substr(0, n)), "error 271");
}

CAF_TEST(content encodings come back whatever the pieces are) {
  for (size_t n : {0u, 1u, 300'000u, 3'000'000u}) {
    auto text = sample(n);
    for (auto encoding : {"gzip", "deflate", "lz4", "zstd"}) {
      auto packed = encode(make_encoder(encoding, 3), text, 200'000);
      for (size_t piece : {1009u, 10'000'000u}) {
        pieces in{packed, piece};
        auto decoder = make_decoder(encoding, in);
        CAF_CHECK(read_all(*decoder) == text);
      }
    }
  }
}

CAF_TEST(several frames behind one another are one body) {
  for (auto encoding : {"gzip", "lz4", "zstd"}) {
    auto packed = encode(make_encoder(encoding, 3), "one ", 100)
                  + encode(make_encoder(encoding, 3), "two", 100);
    pieces in{packed, 7};
    auto decoder = make_decoder(encoding, in);
    CAF_CHECK_EQUAL(read_all(*decoder), "one two");
  }
}

CAF_TEST(a body that is cut off or no compressed data is an error) {
  for (auto encoding : {"gzip", "deflate", "lz4", "zstd"}) {
    auto packed = encode(make_encoder(encoding, 3), sample(100'000), 100'000);
    pieces cut{std::string_view{packed}.substr(0, packed.size() - 9), 5000};
    CAF_CHECK_EQUAL(read_all(*make_decoder(encoding, cut)), "error 271");
    pieces plain{"INSERT INTO t VALUES (1)", 5000};
    CAF_CHECK_EQUAL(read_all(*make_decoder(encoding, plain)), "error 271");
  }
  pieces in{"x", 1};
  CAF_CHECK(make_decoder("br", in) == nullptr);
}

CAF_TEST(the best encoding that both sides know is chosen) {
  CAF_CHECK_EQUAL(choose_encoding("gzip, deflate, br"), "gzip");
  CAF_CHECK_EQUAL(choose_encoding("lz4,zstd,gzip,deflate"), "lz4");
  CAF_CHECK_EQUAL(choose_encoding("gzip, zstd;q=0.5"), "zstd");
  CAF_CHECK_EQUAL(choose_encoding("gzip, zstd;q=0"), "gzip");
  CAF_CHECK_EQUAL(choose_encoding("identity"), "");
  CAF_CHECK_EQUAL(choose_encoding(""), "");
}

CAF_TEST(passwords are hashed with SHA - 256) {
  CAF_CHECK_EQUAL(
    sha256_hex(""),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CAF_CHECK_EQUAL(
    sha256_hex("abc"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CAF_CHECK_EQUAL(
    sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}
