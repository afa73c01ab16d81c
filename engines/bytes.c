#include "bytes.h"

#include <stdlib.h>
#include <string.h>

int bytes_reserve(struct bytes_buffer *buffer, size_t n)
{
	if (buffer->room - buffer->used >= n)
		return 0;
	size_t room = buffer->room ? buffer->room : 1024;
	while (room - buffer->used < n) {
		if (room > SIZE_MAX / 2)
			return -1;
		room *= 2;
	}
	uint8_t *data = realloc(buffer->data, room);
	if (!data)
		return -1;
	buffer->data = data;
	buffer->room = room;
	return 0;
}

int bytes_append(struct bytes_buffer *buffer, const void *p, size_t n)
{
	if (bytes_reserve(buffer, n) < 0)
		return -1;
	if (n)
		memcpy(buffer->data + buffer->used, p, n);
	buffer->used += n;
	return 0;
}
