export async function measureGrowth(_quick: boolean) {}
