/* SPDX-License-Identifier: MIT */
/* Bus mastering of this machine's functions: all are stopped first, then all are waited for. */
#include "drivers/dma.h"

#include "drivers/time.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "mm/host/hostmap.h"

/* As much of device memory as the lists of USB controllers take, a page at a time: mappings are never undone. */
#define PAGES_MAX 64

static struct {
	uint64_t at; /* physical */
	const volatile uint8_t *page;
} pages[PAGES_MAX];
static unsigned npages;

static bool read_mmio(uint64_t at, uint32_t *v)
{
	uint64_t first = align_down(at, PAGE_SIZE);
	unsigned i = 0;

	while (i < npages && pages[i].at != first)
		i++;
	if (i == PAGES_MAX)
		return false;
	if (i == npages) {
		pages[i].page = hostmap_mmio(hpa(first), PAGE_SIZE, MT_UC);
		pages[i].at = first;
		npages++;
	}
	if (!pages[i].page)
		return false;
	*v = *(const volatile uint32_t *)(pages[i].page + (at - first));
	return true;
}

static const struct dma_access machine = { pci_read, pci_write, read_mmio };

static struct {
	unsigned off, bridges;
	uint64_t deadline; /* TSC */
} result;

static bool stop_one(void *ctx, const struct pci_function *f)
{
	enum dma_verdict v = dma_stop(&machine, f);
	char name[PCI_NAME_SIZE];

	(void)ctx;
	result.off += v == DMA_OFF;
	result.bridges += v == DMA_BRIDGE;
	if (v != DMA_IDLE)
		log_at(v == DMA_OFF || v == DMA_BRIDGE ? LOG_DEBUG : LOG_INFO, "DMA: %s: %s",
			pci_name(f, name), dma_verdict_name(v));
	return true;
}

static bool wait_for_one(void *ctx, const struct pci_function *f)
{
	bool pending = dma_pending(&machine, f);
	char name[PCI_NAME_SIZE];

	(void)ctx;
	while (pending && rdtsc() < result.deadline) {
		udelay(100);
		pending = dma_pending(&machine, f);
	}
	if (pending)
		log_warn("DMA: %s: transactions are still pending after %u ms", pci_name(f, name),
			DMA_WAIT_MS);
	return true;
}

void dma_quiesce(void)
{
	pci_walk(stop_one, NULL);
	result.deadline = rdtsc() + ns_to_tsc(DMA_WAIT_MS * 1000000ull);
	pci_walk(wait_for_one, NULL);
	log_info(
		"DMA: bus mastering switched off on %u functions that firmware left running; %u bridges keep it",
		result.off, result.bridges);
}
