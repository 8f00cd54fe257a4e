/* A WebSocket server's answer to an upgrade (RFC 6455 section 4.2.2), with the SHA-1 and base64 it takes.
 * It validates nothing but that there is a key: it is the floor's, not a server's. */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY_CHARS 24
#define ANSWER_BYTES_MAX 256
static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static uint32_t rotate(uint32_t value, int by) { return value << by | value >> (32 - by); }

/* Of at most 119 bytes: two blocks. */
static void sha1(const char *text, size_t length, uint8_t digest[20]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t blocks[128] = {0};
    size_t count = length + 9 <= 64 ? 1 : 2;
    memcpy(blocks, text, length);
    blocks[length] = 0x80;
    for (int i = 0; i < 8; i++) blocks[count * 64 - 1 - i] = (uint8_t)((uint64_t)length * 8 >> (8 * i));
    for (size_t block = 0; block < count; block++) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        const uint8_t *at = blocks + block * 64;
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)at[4 * i] << 24 | at[4 * i + 1] << 16 | at[4 * i + 2] << 8 | at[4 * i + 3];
        for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t next = rotate(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotate(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* 20 bytes to 28 characters and a zero. */
static void base64_of_20(const uint8_t in[20], char out[29]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0, o = 0; i < 20; i += 3, o += 4) {
        uint32_t three = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | (i + 2 < 20 ? in[i + 2] : 0);
        for (int j = 0; j < 4; j++) out[o + j] = digits[three >> (18 - 6 * j) & 63];
    }
    out[27] = '=', out[28] = 0;
}

/* The answer's length; 0 where the head (zero-terminated) has no key. */
static size_t answer_upgrade(const char *head, char answer[ANSWER_BYTES_MAX]) {
    char joined[KEY_CHARS + sizeof GUID], accept[29];
    uint8_t digest[20];
    const char *key = strcasestr(head, "\r\nsec-websocket-key:");
    if (key == NULL) return 0;
    key += strlen("\r\nsec-websocket-key:");
    while (*key == ' ') key++;
    if (strcspn(key, " \r") != KEY_CHARS) return 0;
    memcpy(joined, key, KEY_CHARS);
    memcpy(joined + KEY_CHARS, GUID, sizeof GUID);
    sha1(joined, KEY_CHARS + sizeof GUID - 1, digest);
    base64_of_20(digest, accept);
    return (size_t)snprintf(answer, ANSWER_BYTES_MAX,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                            accept);
}

#endif
